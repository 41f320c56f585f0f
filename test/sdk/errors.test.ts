import { describe, expect, test } from 'vitest';
import {
  isNonRetriable,
  isRetryAfter,
  isStepError,
  NonRetriableError,
  RetryAfterError,
  retryAfterOf,
  StepError,
} from '../../src/sdk/errors.ts';

/** As another copy of the package would make it. */
function foreign(name: string, members: object = {}): Error {
  return Object.assign(new Error('from elsewhere'), { name, ...members });
}

describe('NonRetriableError', () => {
  test('keeps message and cause (ER-2)', () => {
    const cause = new Error('why');
    const error = new NonRetriableError('no use', { cause });
    expect(error).toMatchObject({ name: 'NonRetriableError', message: 'no use', cause });
    expect(new NonRetriableError('no use')).not.toHaveProperty('cause');
  });

  test('is recognised by class, by subclass and by name (ER-5)', () => {
    class Refused extends NonRetriableError {
      override name = 'Refused';
    }
    expect(isNonRetriable(new NonRetriableError('x'))).toBe(true);
    expect(isNonRetriable(new Refused('x'))).toBe(true);
    expect(isNonRetriable(foreign('NonRetriableError'))).toBe(true);
    expect(isNonRetriable(new Error('NonRetriableError'))).toBe(false);
  });

  test.each([[null], [undefined], ['NonRetriableError'], [0], [Object.create(null)]])(
    'is not mistaken for the thrown value %j',
    (thrown) => {
      expect([isNonRetriable(thrown), isRetryAfter(thrown), isStepError(thrown)]).toEqual([
        false,
        false,
        false,
      ]);
    },
  );

  test('a thrown value whose name cannot be read does no harm', () => {
    const thrown = {
      get name(): string {
        throw new Error('no');
      },
    };
    expect([isNonRetriable(thrown), isRetryAfter(thrown)]).toEqual([false, false]);
  });
});

describe('RetryAfterError', () => {
  test.each([
    [1_000, '1'],
    [1_001, '2'],
    [0, '0'],
    [-5_000, '0'],
    ['30m', '1800'],
    ['1500ms', '2'],
    ['2.5 hours', '9000'],
    ['5000', '5'],
    [new Date('2031-02-03T04:05:06.789Z'), '2031-02-03T04:05:06.789Z'],
  ])('%j becomes %j (ER-3, ER-4)', (time, text) => {
    expect(new RetryAfterError('later', time).retryAfter).toBe(text);
  });

  test.each([['soon'], [''], ['  '], ['-1s'], [Number.NaN], [Number.POSITIVE_INFINITY], [new Date('never')]])(
    '%j throws in the constructor (ER-4)',
    (time) => {
      expect(() => new RetryAfterError('later', time)).toThrow(/retryAfter: expected/);
    },
  );

  test('keeps name, message and cause (ER-3)', () => {
    expect(new RetryAfterError('later', 1, { cause: 'why' })).toMatchObject({
      name: 'RetryAfterError',
      message: 'later',
      cause: 'why',
    });
  });

  test('is recognised by class and by name, with a time that can be read (ER-5)', () => {
    expect(isRetryAfter(new RetryAfterError('later', 1))).toBe(true);
    expect(isRetryAfter(foreign('RetryAfterError', { retryAfter: '10' }))).toBe(true);
    expect(isRetryAfter(foreign('RetryAfterError', { retryAfter: 'soon' }))).toBe(false);
    expect(isRetryAfter(foreign('RetryAfterError'))).toBe(false);
    expect(isRetryAfter(foreign('Error', { retryAfter: '10' }))).toBe(false);
  });

  test('says when, relative or absolute (ER-12)', () => {
    expect(retryAfterOf(new RetryAfterError('later', '30m'))).toEqual({ in: 1_800_000 });
    expect(retryAfterOf(new RetryAfterError('later', new Date(1_900_000_000_000)))).toEqual({
      at: 1_900_000_000_000,
    });
  });
});

describe('StepError', () => {
  const original = {
    name: 'PaymentError',
    message: 'card refused',
    stack: 'PaymentError: card refused\n    at pay (shop.ts:1:1)',
    cause: { name: 'HttpError', message: '402', cause: { name: 'Error', message: 'deepest' } },
  };

  test('looks like the original error and names the step (ER-6, ER-16)', () => {
    const error = new StepError('step-1', original);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'PaymentError', message: 'card refused', stepId: 'step-1' });
    expect(error.stack).toBe(original.stack);
    expect(isStepError(error)).toBe(true);
    expect(isStepError(foreign('StepError', { stepId: 'step-1' }))).toBe(false);
  });

  test('its causes are errors again (ER-6, ER-8)', () => {
    const { cause } = new StepError('step-1', original);
    expect(cause).toBeInstanceOf(Error);
    expect(cause).toMatchObject({
      name: 'HttpError',
      message: '402',
      cause: { name: 'Error', message: 'deepest' },
    });
  });

  test('without a stack of the original it shows none of ours', () => {
    const error = new StepError('step-1', { name: 'Error', message: 'plain' });
    expect(error.stack).toBe('Error: plain');
    expect(error).not.toHaveProperty('cause');
  });
});
