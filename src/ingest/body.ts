/** Reads a request's body as text without ever holding more of it than is allowed. */
import { readUpTo } from '../lib/stream.ts';
import { Refusal } from './refusal.ts';

/** EA-11: counted while it arrives, whatever `content-length` claims. Invalid UTF-8 is refused, a byte order mark dropped. */
export async function readText(body: ReadableStream<Uint8Array> | null, limit: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  const text = await readUpTo(body, limit, { decode: (...chunk) => decode(decoder, ...chunk) });
  if (text === null) throw tooLarge(limit);
  return text;
}

export function tooLarge(limit: number): Refusal {
  return new Refusal(413, `the body is larger than ${limit} bytes`);
}

function decode(decoder: TextDecoder, ...chunk: Parameters<TextDecoder['decode']>): string {
  try {
    return decoder.decode(...chunk);
  } catch {
    throw new Refusal(400, 'the body is not valid UTF-8');
  }
}
