import { expect, test } from 'vitest';
import { tokensOf } from '../../src/api/tokens.ts';

test.each([
  [{ usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }, { input: 1, output: 2, total: 3 }],
  [{ usage: { input_tokens: 1, output_tokens: 2 } }, { input: 1, output: 2, total: 3 }],
  [
    { usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2, totalTokenCount: 5 } },
    { input: 1, output: 2, total: 5 },
  ],
  [{ usage: { prompt_tokens: 'x' } }, null],
  [{ usage: null }, null],
  ['text', null],
  [null, null],
])('of %j the tokens are %j (AIO-6)', (answer, expected) => {
  expect(tokensOf(answer)).toEqual(expected);
});
