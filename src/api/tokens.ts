/** What an inference has used, read from the provider's answer (AIO-6). */
import { isObject, type Json } from '../lib/json.ts';

/** Names of the counts in the forms of OpenAI's chat, of OpenAI's responses and Anthropic, and of Gemini. */
const FORMS = [
  { at: 'usage', input: 'prompt_tokens', output: 'completion_tokens', total: 'total_tokens' },
  { at: 'usage', input: 'input_tokens', output: 'output_tokens', total: 'total_tokens' },
  {
    at: 'usageMetadata',
    input: 'promptTokenCount',
    output: 'candidatesTokenCount',
    total: 'totalTokenCount',
  },
] as const;

/** Null where the answer has another form. */
export function tokensOf(answer: Json): { input: number; output: number; total: number } | null {
  for (const form of FORMS) {
    const usage = isObject(answer) ? answer[form.at] : null;
    if (!isObject(usage)) continue;
    const { [form.input]: input, [form.output]: output, [form.total]: total } = usage;
    if (typeof input !== 'number' || typeof output !== 'number') continue;
    return { input, output, total: typeof total === 'number' ? total : input + output };
  }
  return null;
}
