/** What apps register with, and what of it is refused. */
import { describe, expect, test } from 'vitest';
import {
  readAnswer,
  readRegistration,
  RegistrationRefused,
  type Registration,
} from '../../src/registry/registration.ts';
import { go, python, typescript, typescript3, wireFunction } from './bodies.ts';

const read = (body: unknown): Registration => readRegistration(JSON.stringify(body));
const withFunction = (change: object) => ({ ...typescript3, functions: [wireFunction(change)] });
const one = (change: object) => read(withFunction(change)).functions[0];

function refusal(body: unknown): RegistrationRefused {
  try {
    readRegistration(typeof body === 'string' ? body : JSON.stringify(body));
  } catch (error) {
    if (error instanceof RegistrationRefused) return error;
    throw error;
  }
  throw new Error('it was taken');
}

const why = (change: object): string => refusal(withFunction(change)).message;

describe('the registrations of the official SDKs', () => {
  test('TypeScript v4, with all its options (wire 2.4, AP-23a, AP-22a, WR-1)', () => {
    expect(read(typescript)).toEqual({
      app: {
        id: 'app4',
        url: 'http://127.0.0.1:3004/api/inngest',
        sdk: 'js:v4.24.0',
        framework: 'nodejs',
        platform: null,
        appVersion: '1.2.3',
      },
      functions: [
        {
          id: 'app4-kitchen',
          name: 'Kitchen',
          triggers: [{ event: 'demo/config' }, { cron: '0 0 * * *' }],
          retries: 7,
          idempotency: 'event.data.id',
          concurrency: [
            { limit: 2, scope: 'fn' },
            { limit: 1, key: 'event.data.u', scope: 'env' },
          ],
          throttle: { limit: 1, period: '5s', burst: 2, key: 'event.data.u' },
          debounce: { period: '5s', key: 'event.data.u', timeout: '30s' },
          priority: { run: '120' },
          timeouts: { start: '10s', finish: '30s' },
          cancel: [{ event: 'demo/cancel', if: 'event.data.u == async.data.u', timeout: '1h' }],
        },
        {
          id: 'app4-kitchen-failure',
          name: 'Kitchen (failure)',
          triggers: [
            { event: 'inngest/function.failed', expression: "event.data.function_id == 'app4-kitchen'" },
          ],
          retries: 1,
        },
      ],
    });
  });

  test('TypeScript v3: a number as concurrency, no retries named: four of them (wire 2.4, FN-2, RT-6)', () => {
    const { app, functions } = read(typescript3);
    expect(app).toMatchObject({ id: 'shop', sdk: 'js:v3.54.2', framework: 'express', appVersion: null });
    expect(functions).toMatchObject([
      {
        id: 'shop-pay',
        triggers: [{ event: 'shop/*' }],
        retries: 4,
        concurrency: [{ limit: 5 }],
        batchEvents: { maxSize: 10, timeout: '5s' },
      },
    ]);
  });

  test('Python: names in lower case, null for what is left out (AP-20a, XL-50, XL-61)', () => {
    const { app, functions } = read(python);
    expect(app).toMatchObject({ id: 'py-app', url: 'http://localhost:8000/api/inngest', sdk: 'py:v0.5.18' });
    expect(functions).toEqual([
      {
        id: 'py-app-hello',
        name: 'hello',
        triggers: [{ event: 'py/hello' }, { cron: 'TZ=Europe/Paris 0 9 * * 1' }],
        retries: 0,
      },
    ]);
  });

  test('Go: two lists of limits, choices with capitals, a runtime without type (XL-53, XL-54, XL-62)', () => {
    const { app, functions } = read(go);
    expect(app).toEqual({
      id: 'go-app',
      url: 'http://localhost:9000/api/inngest',
      sdk: 'go:v0.16.0',
      framework: null,
      platform: 'fly',
      appVersion: null,
    });
    expect(functions).toEqual([
      {
        id: 'go-app-work',
        name: 'Work',
        triggers: [{ event: 'go/work' }],
        retries: 2,
        concurrency: [
          { limit: 1, scope: 'fn' },
          { limit: 2, key: 'event.data.u', scope: 'env' },
        ],
        singleton: { key: 'event.data.u', mode: 'skip' },
      },
    ]);
  });

  test('an answer to an in-band sync says the same in other words (AP-31)', () => {
    const { appName: app_id, sdk: _, ...rest } = typescript;
    const answer = { ...rest, app_id, sdk_author: 'inngest', sdk_language: 'js', sdk_version: '4.24.0' };
    expect(readAnswer(JSON.stringify({ ...answer, env: null, platform: null, inspection: {} }))).toEqual(
      read(typescript),
    );
  });
});

describe('a function', () => {
  test.each([
    [0, 0],
    [20, 20],
    [50, 20],
  ])('with %i as attempts has %i retries (wire 2.4, case 17, RT-6)', (attempts, retries) => {
    const { steps } = wireFunction() as { steps: { step: object } };
    expect(one({ steps: { step: { ...steps.step, retries: { attempts } } } })).toMatchObject({ retries });
  });

  test('may have no triggers: it is there to be invoked (wire 2.4, FN-4)', () => {
    expect(one({ triggers: [] })).toMatchObject({ triggers: [] });
  });

  test('may call its step what it likes (wire 2.4)', () => {
    const { steps } = wireFunction() as { steps: { step: object } };
    expect(one({ steps: { 'step-1': steps.step } })).toMatchObject({ id: 'shop-pay' });
  });

  test('may have any characters in its id (case 18)', () => {
    expect(one({ id: 'shop-a/b %{x} 🙂' })).toMatchObject({ id: 'shop-a/b %{x} 🙂' });
  });

  test('with batches waits a minute for a full one, if it does not say how long (wire 2.4)', () => {
    expect(one({ batchEvents: { maxSize: 2 } })).toMatchObject({
      batchEvents: { maxSize: 2, timeout: '60s' },
    });
  });

  test('without an id is called by its name (wire 2.4)', () => {
    expect(one({ id: undefined, name: 'My Fine Function!' })).toMatchObject({ id: 'my-fine-function' });
  });

  test('keeps what is known of it, whatever newer SDKs add (FN-10)', () => {
    const config = one({
      novelty: { a: 1 },
      triggers: [{ event: 'shop/paid', novelty: true }],
      cancel: [{ event: 'shop/no', novelty: [] }],
      concurrency: { limit: 3, novelty: 1 },
    });
    expect(config).toEqual({
      id: 'shop-pay',
      name: 'shop-pay',
      triggers: [{ event: 'shop/paid' }],
      retries: 4,
      cancel: [{ event: 'shop/no' }],
      concurrency: [{ limit: 3, scope: 'fn' }],
    });
  });
});

describe('a registration is refused, and says why (wire 2.6, FN-9)', () => {
  test.each([
    ['{', 'Invalid request: the body is not valid JSON'],
    ['[]', 'Invalid request: body: Invalid input: expected object, received array'],
    ['['.repeat(2_000), 'Invalid request: the body is nested too deep'],
    [{ ...typescript3, appName: undefined }, 'App ID required'],
    [{ ...typescript3, appName: '' }, 'App ID required'],
    [{ ...typescript3, appName: 'x'.repeat(257) }, 'App ID is longer than 256 characters (AP-4)'],
    [{ ...typescript3, functions: undefined }, 'Invalid request: functions: expected a list'],
    [{ ...typescript3, functions: {} }, 'Invalid request: functions: expected a list'],
    [{ ...typescript3, url: undefined }, 'Invalid request: url: expected a string'],
    [{ ...typescript3, url: '/api/inngest' }, 'Invalid request: url: expected an absolute URL'],
    [{ ...typescript3, url: 'ftp://a.example/' }, 'Invalid request: url: expected http or https'],
    [
      { ...typescript3, url: 'wss://connect' },
      'Invalid request: url: apps that connect do not register here',
    ],
    [
      { ...typescript3, url: 'https://user:secret@a.example/' },
      'Invalid request: url: expected one without credentials',
    ],
  ])('%j', (body, message) => {
    expect(refusal(body)).toMatchObject({ message, code: null });
  });

  test('an empty list of functions is taken, as Go writes it too (wire 2.3)', () => {
    expect(read({ ...typescript3, functions: [] }).functions).toEqual([]);
    expect(read({ ...typescript3, functions: null }).functions).toEqual([]);
    expect(read({ ...typescript3, functions: undefined, Functions: null }).functions).toEqual([]);
  });

  test.each(['js:v3.22.0', 'js:v3.40.7', 'js:v3.53.1', 'inngest-js:v3.53.0'])(
    'the SDK version %s, of which an advisory warns (wire 2.5)',
    (sdk) => {
      expect(refusal({ ...typescript3, sdk })).toMatchObject({ code: 'sdk_version_denied' });
    },
  );

  test.each(['js:v3.21.9', 'js:v3.53.2', 'js:v4.24.0', 'py:v3.30.0', ''])(
    'not the SDK version "%s"',
    (sdk) => {
      expect(read({ ...typescript3, sdk }).app.sdk).toBe(sdk);
    },
  );

  test.each([
    ['no steps', { steps: undefined }, 'steps: expected an object with one step'],
    ['an empty object of steps', { steps: {} }, 'steps: expected exactly one step'],
    ['a step without URL', { steps: { step: { runtime: {} } } }, 'steps.step.runtime.url: '],
    ['a bad cron', { triggers: [{ cron: 'never' }] }, 'triggers[0].cron: '],
    ['a bad expression', { triggers: [{ event: 'a', expression: '1 +' }] }, 'triggers[0].expression: '],
    ['a bad cancellation', { cancel: [{ event: 'a', if: '((' }] }, 'cancel[0].if: '],
    ['a jitter of six minutes', { triggers: [{ cron: '* * * * *', jitter: '6m' }] }, 'triggers[0].jitter: '],
    [
      'eleven triggers',
      { triggers: Array.from({ length: 11 }, (_, n) => ({ event: `e${n}` })) },
      'triggers: ',
    ],
    ['the same trigger twice', { triggers: [{ event: 'a' }, { event: 'a' }] }, 'triggers[1]: '],
    [
      'batches and debounce',
      { batchEvents: { maxSize: 2, timeout: '1s' }, debounce: { period: '1s' } },
      'batchEvents: ',
    ],
    ['batches of one', { batchEvents: { maxSize: 1, timeout: '1s' } }, 'batchEvents.maxSize: '],
    ['a debounce of eight days', { debounce: { period: '8d' } }, 'debounce.period: '],
    ['three limits', { concurrency: [{ limit: 1 }, { limit: 2 }, { limit: 3 }] }, 'concurrency: '],
    ['negative attempts', { retries: -1 }, 'retries: '],
    ['a list as triggers that is none', { triggers: 'a' }, 'triggers: '],
  ])('%s (case 13, 16)', (_, change, problem) => {
    const [first, ...lines] = why(change).split('\n');
    expect(first).toBe('At least one function is invalid');
    expect(lines[0]).toMatch(new RegExp(`^shop-pay: ${problem.replaceAll(/[[\]]/g, String.raw`\$&`)}`));
  });

  test('all problems of all functions are listed, those without an id by their place', () => {
    const functions = [
      wireFunction({ retries: -1, triggers: [{ cron: 'x' }] }),
      wireFunction({ id: undefined, name: undefined, steps: undefined }),
      'garbage',
    ];
    const lines = refusal({ ...typescript3, functions }).message.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^shop-pay: retries: /),
        expect.stringMatching(/^shop-pay: triggers\[0\]\.cron: /),
        expect.stringMatching(/^shop, function 2: steps: /),
        expect.stringMatching(/^shop, function 2: id: /),
        expect.stringMatching(/^shop, function 3: /),
      ]),
    );
  });

  test('two functions with one id (FN-8)', () => {
    const body = { ...typescript3, functions: [wireFunction(), wireFunction()] };
    expect(refusal(body).message).toContain('shop-pay: id: more than one function has it');
  });

  test('what it says holds no values of the request', () => {
    const secret = 'hunter2';
    const bodies = [
      { ...typescript3, url: `https://${secret}:x@a.example` },
      { ...typescript3, url: secret },
      { ...typescript3, appVersion: [secret] },
      withFunction({ concurrency: { limit: secret } }),
      `{"${secret}`,
    ];
    for (const body of bodies) expect(refusal(body).message).not.toContain(secret);
  });
});
