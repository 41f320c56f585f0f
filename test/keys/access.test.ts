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
