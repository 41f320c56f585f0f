import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { authorizeBearer, authorizeEventKey, type KeyConfig } from '../../src/keys/access.ts';

const SECRET = '0123456789abcdef';
const HASH = createHash('sha256').update(Buffer.from(SECRET, 'hex')).digest('hex');
const OLD = 'fedcba9876543210';
const OLD_HASH = createHash('sha256').update(Buffer.from(OLD, 'hex')).digest('hex');

const closed: KeyConfig = { dev: false, eventKeys: [], signingKeys: [] };
const config: KeyConfig = {
  dev: false,
  eventKeys: ['key-one', 'key-two'],
  signingKeys: [`signkey-prod-${SECRET}`, `signkey-prod-${OLD}`],
};
const dev: KeyConfig = { ...closed, dev: true };

describe('event keys', () => {
  test.each([
    ['the first key', config, 'key-one', 'production'],
    ['another key', config, 'key-two', 'production'],
    ['an unknown key (EK-14)', config, 'key-three', null],
    ['a prefix of a key', config, 'key-on', null],
    ['a key in other case', config, 'KEY-ONE', null],
    ['an empty key (EA-29)', config, '', null],
    ['any key where none is configured (EK-14)', closed, 'key-one', null],
    ['an empty key where none is configured', closed, '', null],
    ['any key in development (EA-27)', dev, 'NO_EVENT_KEY_SET', 'dev'],
    ['an empty key in development (EA-29)', dev, '', null],
  ])('%s', (_, keys, key, env) => {
    expect(authorizeEventKey(keys, key)?.env ?? null).toBe(env);
  });
});

describe('bearer (wire 10.2)', () => {
  test.each([
    ['raw with prefix', `Bearer signkey-prod-${SECRET}`],
    ['raw without prefix', `Bearer ${SECRET}`],
    ['hashed with prefix', `Bearer signkey-prod-${HASH}`],
    ['hashed without prefix', `Bearer ${HASH}`],
    ['lower-case scheme', `bearer ${SECRET}`],
    ['the fallback, raw', `Bearer signkey-prod-${OLD}`],
    ['the fallback, hashed', `Bearer signkey-prod-${OLD_HASH}`],
  ])('%s is accepted', (_, header) => {
    expect(authorizeBearer(config, header)).toEqual({ env: 'production' });
  });

  test.each([
    ['no header', null],
    ['an empty header', ''],
    ['no value', 'Bearer '],
    ['what SDKs send without a key', 'Bearer undefined'],
    ['another key', `Bearer signkey-prod-${SECRET.replace('0', '1')}`],
    ['a prefix alone', 'Bearer signkey-prod-'],
    ['another scheme', `Basic ${SECRET}`],
    ['no scheme', SECRET],
    ['the hash of the text, not of its bytes', `Bearer ${createHash('sha256').update(SECRET).digest('hex')}`],
  ])('%s is refused', (_, header) => {
    expect(authorizeBearer(config, header)).toBeNull();
  });

  test('without signing keys everything is refused', () => {
    expect(authorizeBearer(closed, 'Bearer ')).toBeNull();
    expect(authorizeBearer(closed, `Bearer ${SECRET}`)).toBeNull();
  });

  test('a key that is only a prefix opens nothing', () => {
    expect(authorizeBearer({ ...closed, signingKeys: ['signkey-prod-'] }, 'Bearer signkey-prod-')).toBeNull();
  });

  test('a key that is not hex is accepted as it is', () => {
    const keys = { ...closed, signingKeys: ['signkey-test-not-hex'] };
    expect(authorizeBearer(keys, 'Bearer signkey-test-not-hex')).not.toBeNull();
    expect(authorizeBearer(keys, 'Bearer not-hex')).not.toBeNull();
  });

  test('development ignores the header (RA-6)', () => {
    for (const header of [null, 'Bearer undefined', 'Bearer']) {
      expect(authorizeBearer(dev, header)).toEqual({ env: 'dev' });
    }
  });
});

describe('branch environments', () => {
  const BRANCH_SECRET = 'abcdabcd';
  const branched: KeyConfig = {
    ...config,
    branch: { eventKeys: ['branch-key'], signingKeys: [`signkey-branch-${BRANCH_SECRET}`] },
  };

  test.each([
    ['are named by a header (EA-20)', 'branch-key', 'feature/my-branch', 'branch/feature/my-branch'],
    ['are named without space around (ENV-12)', 'branch-key', '  x ', 'branch/x'],
    ['without a name have a place of their own (EA-22)', 'branch-key', null, 'branch'],
    ['with a name that is too long have that place too', 'branch-key', 'x'.repeat(257), 'branch'],
    ['are not for other keys: those do not look at the header (EA-21)', 'key-one', 'x', 'production'],
  ])('%s', (_, key, header, env) => {
    expect(authorizeEventKey(branched, key, header)?.env).toBe(env);
  });

  test('are opened by the branch signing key and a name, and not without one (ENV-10, ENV-11)', () => {
    const bearer = `Bearer signkey-branch-${BRANCH_SECRET}`;
    expect(authorizeBearer(branched, bearer, 'x')).toEqual({ env: 'branch/x' });
    expect(authorizeBearer(branched, bearer, ' ')).toBe('no branch');
    expect(authorizeBearer(branched, bearer, null)).toBe('no branch');
    expect(authorizeBearer(branched, `Bearer ${SECRET}`, 'x')).toEqual({ env: 'production' });
  });

  test('do not exist for a deployment without their keys, nor in development', () => {
    expect(authorizeBearer(config, `Bearer ${BRANCH_SECRET}`, 'x')).toBeNull();
    expect(authorizeEventKey(config, 'branch-key', 'x')).toBeNull();
    expect(authorizeBearer({ ...branched, dev: true }, null, 'x')).toEqual({ env: 'dev' });
    expect(authorizeEventKey({ ...branched, dev: true }, 'any', 'x')?.env).toBe('dev');
  });
});
