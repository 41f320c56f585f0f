/**
 * Reads a stream as text without ever holding more of it than is allowed: null when there is more.
 * @param decoder what is no UTF-8 becomes U+FFFD unless it says otherwise; what it throws is thrown.
 */
export async function readUpTo(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
  decoder: Pick<TextDecoder, 'decode'> = new TextDecoder(),
): Promise<string | null> {
  if (body === null) return '';
  const reader = body.getReader();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > limit) {
      await reader.cancel().catch(() => undefined);
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
}
