import { describe, expect, test } from 'vitest';
import { signatures } from '../../src/keys/sign.ts';
import { isSigned, sign } from '../../src/protocol/signature.ts';
import { MINUTE } from '../../src/lib/time.ts';

const KEY = 'signkey-test-12345678';
const AT = 1_700_000_000_000;
const clock = { now: () => AT };

describe('the signature of a request', () => {
  test('is the one of the published test vector (SK-6, SK-7, wire 10.3)', () => {
    expect(sign(KEY, '{"a":1}', AT)).toBe(
      't=1700000000&s=67a82077baa52522b1f612a154a25275c00a0338efc32be5ee396bd2391ba5e0',
    );
  });

  test('of a request without a body is over the time alone (SK-8)', () => {
    expect(sign(KEY, '', AT + 999)).toBe(sign('12345678', '', AT));
    expect(sign(KEY, '', AT)).not.toBe(sign(KEY, '', AT + 1_000));
  });

  const keys = { eventKeys: [], signingKeys: [KEY, 'signkey-test-87654321'] };
  const branch = { eventKeys: [], signingKeys: ['signkey-branch-abcd'] };

  test('is made with the current key of the environment, never with the fallback (SK-19, ENV-3)', () => {
    const { sign: send, isSigned: isGood } = signatures({ dev: false, ...keys, branch }, clock);
    expect(send('{}', 'production')).toBe(sign(KEY, '{}', AT));
    expect(send('{}', 'branch/x')).toBe(sign('signkey-branch-abcd', '{}', AT));
    expect(isGood(sign('signkey-branch-abcd', '{}', AT), '{}', 'branch/x')).toBe(true);
    expect(isGood(sign('signkey-branch-abcd', '{}', AT), '{}', 'production')).toBe(false);
  });

  test('is left out in development and where there is no key (SK-10, wire 1.6)', () => {
    expect(signatures({ dev: true, ...keys }, clock).sign('{}', 'dev')).toBeNull();
    expect(signatures({ dev: false, ...keys, signingKeys: [] }, clock).sign('{}', 'production')).toBeNull();
    expect(signatures({ dev: false, ...keys }, clock).sign('{}', 'branch/x')).toBeNull();
  });
});

describe('the signature of an answer', () => {
  test.each([
    { name: 'by the current key', header: sign(KEY, '{"a": 1}', AT), body: '{"a": 1}' },
    { name: 'by the fallback key (SK-11)', header: sign('signkey-x-abcd', '{}', AT), body: '{}' },
    { name: 'without the last line feed (XL-43)', header: sign(KEY, '{}', AT), body: '{}\n' },
    { name: 'by a clock that is five minutes behind', header: sign(KEY, '{}', AT - 5 * MINUTE), body: '{}' },
  ])('is good: $name', ({ header, body }) => {
    expect(isSigned([KEY, 'signkey-x-abcd'], header, body, AT)).toBe(true);
  });

  test.each([
    { name: 'missing', header: null },
    { name: 'garbage', header: 'yes' },
    { name: 'of another body', header: sign(KEY, '{"a":1}', AT) },
    { name: 'by another key', header: sign('signkey-test-00', '{}', AT) },
    { name: 'too old (SK-9)', header: sign(KEY, '{}', AT - 5 * MINUTE - 1_000) },
    { name: 'from the future', header: sign(KEY, '{}', AT + 6 * MINUTE) },
    { name: 'with another time than was signed', header: sign(KEY, '{}', AT).replace('t=17', 't=16') },
  ])('is refused: $name', ({ header }) => {
    expect(isSigned([KEY], header, '{}', AT)).toBe(false);
  });

  test('is worth nothing where there are no keys', () => {
    expect(isSigned([], sign('', '{}', AT), '{}', AT)).toBe(false);
  });
});
