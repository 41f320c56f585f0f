import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { decodeTime } from 'ulid';
import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../src/lib/duration.ts';
import { hashNumber, hashUuid, sha1Hex, sha256Hex } from '../../src/lib/hash.ts';
import { isObject, jsonDepth, splitText, utf8Length } from '../../src/lib/json.ts';
import { isUlid, ulid } from '../../src/lib/ulid.ts';

/** Texts with everything that UTF-16 can hold, lone surrogates included. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.constantFrom('a', 'é', '€', '😀', '\ud800', '\udc00', '"', '\\', '{', '[', ']'))
    .map((parts) => parts.join('')),
);

describe('durations', () => {
  test.each<[string, number | null]>([
    ['', 0],
    ['  ', 0],
    ['0', 0],
    ['5000', 5_000],
    ['1.5', 2],
    ['500ms', 500],
    ['1500us', 2],
    ['1500µs', 2],
    ['2000000ns', 2],
    ['10s', 10_000],
    ['90 sec', 90_000],
    ['30m', 1_800_000],
    ['1min', 60_000],
    ['45 minutes', 2_700_000],
    ['24hr', 86_400_000],
    ['3 hours', 10_800_000],
    ['1h30m', 5_400_000],
    ['18h 30m', 66_600_000],
    ['2.5d', 216_000_000],
    ['2.5 days', 216_000_000],
    ['.5h', 1_800_000],
    ['168h', 604_800_000],
    ['1w', 604_800_000],
    ['2 weeks', 1_209_600_000],
    ['1H', 3_600_000],
    [' 1 Day ', 86_400_000],
    ['1d1d', 172_800_000],
    ['-5m', null],
    ['+5m', null],
    ['5', 5],
    ['5 5', null],
    ['m', null],
    ['5x', null],
    ['5m 3', null],
    ['soon', null],
    ['1y', null],
    ['1month', null],
    ['5m!', null],
    ['1,5h', null],
    ['1e3', null],
    ['0x10', null],
    ['Infinity', null],
    ['5constructor', null],
    ['5__proto__', null],
    ['5tostring', null],
    ['2027-01-01T00:00:00Z', null],
  ])('"%s" is %s ms (DU-1 to DU-5)', (source, ms) => {
    expect(parseDuration(source)).toBe(ms);
  });

  test('round trip: written in groups, in any order and case', () => {
    const group = fc.record({
      n: fc.nat(5_000),
      unit: fc.constantFrom<[string, number]>(
        ['ms', 1],
        ['s', 1e3],
        ['m', 6e4],
        ['hr', 36e5],
        ['days', 864e5],
        ['w', 6048e5],
      ),
      gap: fc.constantFrom('', ' ', '  '),
      upper: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(group, { minLength: 1, maxLength: 5 }), (groups) => {
        const written = groups.map(
          ({ n, unit, gap, upper }) => `${n}${gap}${upper ? unit[0].toUpperCase() : unit[0]}${gap}`,
        );
        expect(parseDuration(written.join(''))).toBe(
          groups.reduce((sum, { n, unit }) => sum + n * unit[1], 0),
        );
      }),
    );
  });

  test('round trip: a number of milliseconds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(parseDuration(String(n))).toBe(n);
      }),
    );
  });

  test('any text: a whole number from 0 on, or null', () => {
    fc.assert(
      fc.property(text, (source) => {
        const ms = parseDuration(source);
        if (ms !== null) expect(Number.isInteger(ms) && ms >= 0).toBe(true);
      }),
    );
  });
});

describe('JSON', () => {
  test('utf8Length is the length of the encoded text', () => {
    fc.assert(
      fc.property(text, (source) => {
        expect(utf8Length(source)).toBe(new TextEncoder().encode(source).length);
      }),
    );
  });

  test('jsonDepth is the depth of the value', () => {
    const depthOf = (value: unknown): number =>
      typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json({ maxDepth: 8 }),
          text.map((one) => JSON.stringify([{ [one]: one }])),
        ),
        (json) => {
          expect(jsonDepth(json, 1_000)).toBe(depthOf(JSON.parse(json)));
        },
      ),
    );
  });

  test('jsonDepth stops just above its limit', () => {
    expect(jsonDepth('['.repeat(1_000), 1_000)).toBe(1_000);
    expect(jsonDepth('['.repeat(5_000_000), 1_000)).toBe(1_001);
  });

  test('splitText: joined again it is the same, no piece is too long, no pair is broken', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 9 }), (source, units) => {
        const pieces = splitText(source, units);
        expect(pieces.join('')).toBe(source);
        for (const piece of pieces) {
          expect(piece.length).toBeGreaterThan(0);
          expect(piece.length).toBeLessThanOrEqual(units);
        }
        if (source.isWellFormed()) for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      }),
    );
  });

  test('splitText makes as few pieces as a naive cut when there are no pairs', () => {
    expect(splitText('abcde', 2)).toEqual(['ab', 'cd', 'e']);
    expect(splitText('', 2)).toEqual([]);
    expect(splitText('a😀b', 2)).toEqual(['a', '😀', 'b']);
  });

  test.each<[unknown, boolean]>([
    [{}, true],
    [Object.create(null), true],
    [[], false],
    [null, false],
    ['x', false],
    [() => 1, false],
  ])('isObject(%o): %s', (value, is) => {
    expect(isObject(value)).toBe(is);
  });
});

describe('ULIDs', () => {
  const entropy = fc.uint8Array({ minLength: 10, maxLength: 10 });
  const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });

  test('sort by time, whatever the entropy', () => {
    fc.assert(
      fc.property(time, time, entropy, entropy, (a, b, one, other) => {
        if (a === b) return;
        expect(ulid(a, one) < ulid(b, other)).toBe(a < b);
      }),
    );
  });

  test('within a millisecond they sort by their bytes, and differ when these do', () => {
    fc.assert(
      fc.property(time, entropy, entropy, (ms, one, other) => {
        const order = Buffer.compare(one, other);
        const [a, b] = [ulid(ms, one), ulid(ms, other)];
        expect(a < b ? -1 : a > b ? 1 : 0).toBe(order);
      }),
    );
  });

  test('are read by others', () => {
    fc.assert(
      fc.property(time, entropy, (ms, bytes) => {
        const id = ulid(ms, bytes);
        expect(isUlid(id)).toBe(true);
        expect(decodeTime(id)).toBe(ms);
      }),
    );
  });

  test.each([-1, 0.5, 2 ** 48, Number.NaN])('a time of %s is refused', (ms) => {
    expect(() => ulid(ms, new Uint8Array(10))).toThrow(RangeError);
  });

  test('other than 10 bytes are refused', () => {
    expect(() => ulid(0, new Uint8Array(9))).toThrow(RangeError);
  });

  test.each([
    '',
    '81ARZ3NDEKTSV4RRFFQ69G5FAV',
    '01ARZ3NDEKTSV4RRFFQ69G5FA',
    '01ARZ3NDEKTSV4RRFFQ69G5FAI',
    '01arz3ndektsv4rrffq69g5fav',
  ])('"%s" is none', (id) => {
    expect(isUlid(id)).toBe(false);
  });
});

describe('hashes', () => {
  test('are those of others, of the UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (source) => {
        expect(sha1Hex(source)).toBe(createHash('sha1').update(source, 'utf8').digest('hex'));
        expect(sha256Hex(source)).toBe(createHash('sha256').update(source, 'utf8').digest('hex'));
      }),
    );
  });

  test('hashNumber is a whole number below its limit, and the same each time', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1e6 }), (source, below) => {
        const n = hashNumber(source, below);
        expect(Number.isInteger(n) && n >= 0 && n < below).toBe(true);
        expect(hashNumber(source, below)).toBe(n);
      }),
    );
  });

  test('hashUuid is a UUID of version 8', () => {
    fc.assert(
      fc.property(fc.string(), (source) => {
        expect(hashUuid(source)).toMatch(
          /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        );
      }),
    );
  });
});
