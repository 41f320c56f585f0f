import { describe, expect, test } from 'vitest';
import { aesSeal } from '../../src/keys/seal.ts';
import { CountingEntropy } from '../ingest/world.ts';

const user = { external_id: 'u-1', nested: { ü: ['😀', null] }, ['__proto__x']: 1 };

describe('the seal of event.user (EVT-10)', () => {
  const seal = aesSeal('deployment secret', new CountingEntropy());

  test('opens to what was sealed, and shows nothing of it', async () => {
    const sealed = await seal.seal(user, 'production');
    expect(sealed).toMatch(/^v1\.[A-Za-z0-9+/]+=*$/);
    expect(atob(sealed.slice(3))).not.toContain('external_id');
    expect(await seal.open(sealed, 'production')).toEqual(user);
  });

  test('two seals of the same user differ', async () => {
    expect(await seal.seal(user, 'production')).not.toBe(await seal.seal(user, 'production'));
  });

  test('another instance with the same secret opens it', async () => {
    const sealed = await seal.seal(user, 'production');
    expect(await aesSeal('deployment secret', new CountingEntropy()).open(sealed, 'production')).toEqual(
      user,
    );
  });

  test('holds three megabytes', async () => {
    const large = { text: 'x'.repeat(3_000_000) };
    expect(await seal.open(await seal.seal(large, 'production'), 'production')).toEqual(large);
  });

  test('a key named __proto__ stays data (EVT-26)', async () => {
    const odd = JSON.parse('{"__proto__":{"admin":true}}') as object;
    const opened = await seal.open(await seal.seal(odd, 'production'), 'production');
    expect(Object.keys(opened)).toEqual(['__proto__']);
  });

  test.each([
    ['another environment', (text: string) => text, 'dev', seal],
    ['another secret', (text: string) => text, 'production', aesSeal('other', new CountingEntropy())],
    ['a changed byte', (text: string) => flip(text, 20), 'production', seal],
    ['a changed iv', (text: string) => flip(text, 4), 'production', seal],
    ['a text cut short', (text: string) => text.slice(0, 27), 'production', seal],
    ['an unknown version', (text: string) => text.replace('v1.', 'v2.'), 'production', seal],
    ['no base64', () => 'v1.%%%', 'production', seal],
    ['nothing', () => '', 'production', seal],
  ])('%s does not open it', async (_, change, env, opener) => {
    const sealed = change(await seal.seal(user, 'production'));
    await expect(opener.open(sealed, env)).rejects.toThrow(/^user: /);
  });
});

function flip(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}
