/** Good inputs, with a planted text where users' data is. What is made of them is often nearly good. */
import type { Json } from '../../src/lib/json.ts';
import { PLANTED } from './inputs.ts';

export const EVENTS: Json[] = [
  {
    name: 'a/b',
    data: { secret: PLANTED, list: [1, { x: PLANTED }] },
    user: { id: PLANTED },
    id: 'k',
    ts: 1_790_000_000_000,
    v: '1',
  },
  [{ name: 'a/b' }, { name: 'c', data: { __typename: PLANTED } }],
  { name: 'a/b', data: null, user: null, id: null, ts: 0, v: null },
];

export const REGISTRATIONS: Json[] = [
  {
    url: `https://app.example/api?key=${PLANTED}`,
    deployType: 'ping',
    framework: 'hono',
    platform: 'vercel',
    appName: 'app',
    appVersion: '1',
    sdk: 'js:v3.54.2',
    headers: { env: 'x', platform: 'y' },
    functions: [
      {
        id: 'app-f',
        name: 'F',
        triggers: [
          { event: 'a/b', expression: 'event.data.x == 1' },
          { cron: 'TZ=Europe/Paris 0 12 * * 1-5', jitter: '30s' },
        ],
        steps: {
          step: {
            id: 'step',
            name: 'step',
            runtime: { type: 'http', url: 'https://app.example/api?fnId=app-f&stepId=step' },
            retries: { attempts: 3 },
          },
        },
        cancel: [{ event: 'a/c', if: 'event.data.id == async.data.id', timeout: '1h' }],
        timeouts: { start: '10s', finish: '1h' },
        concurrency: [{ limit: 2, key: 'event.data.user', scope: 'fn' }],
        throttle: { limit: 1, period: '5s', burst: 2, key: 'event.data.x' },
        rateLimit: { limit: 1, period: '5s', key: 'event.data.x' },
        priority: { run: 'event.data.plan == "pro" ? 10 : 0' },
        idempotency: 'event.data.id',
      },
      {
        id: 'app-g',
        name: 'G',
        triggers: [{ event: 'x' }],
        steps: { step: { runtime: { url: 'https://app.example/g' } } },
        batchEvents: { maxSize: 10, timeout: '5s', key: 'event.data.x' },
      },
      {
        id: 'app-h',
        name: 'H',
        triggers: [],
        steps: { step: { runtime: { url: 'https://app.example/h' } } },
        debounce: { period: '5s', timeout: '1m', key: 'event.data.x' },
        singleton: { mode: 'skip', key: 'event.data.x' },
      },
    ],
  },
  {
    app_id: 'app',
    sdk_language: 'js',
    sdk_version: '3.54.2',
    url: 'https://app.example/api',
    functions: null,
  },
];

export const SIGNALS: Json[] = [{ signal: 'task/1', data: { secret: PLANTED } }, { signal: 's' }];

export const OPS: Json[] = [
  { op: 'StepRun', id: 'a1', name: 'n', displayName: 'A', userland: { id: 'a' }, data: { x: PLANTED } },
  { op: 'Step', id: 'a2', data: { data: 1 } },
  { op: 'StepError', id: 'a3', error: { name: 'E', message: 'm', stack: 's', cause: { message: 'c' } } },
  { op: 'StepFailed', id: 'a4', error: 'text' },
  { op: 'StepPlanned', id: 'a5', name: 'n', opts: { parallelMode: 'race' } },
  { op: 'Sleep', id: 'a6', name: '1h30m' },
  { op: 'Sleep', id: 'a7', opts: { duration: '2026-11-21T00:00:00Z' } },
  {
    op: 'WaitForEvent',
    id: 'a8',
    name: 'a/b',
    opts: { event: 'a/b', timeout: '1h', if: 'event.data.id == async.data.id' },
  },
  { op: 'WaitForSignal', id: 'a9', opts: { signal: 's', timeout: '5m', conflict: 'replace' } },
  {
    op: 'InvokeFunction',
    id: 'b1',
    opts: { function_id: 'app-f', payload: { data: { x: 1 }, user: { id: PLANTED }, v: '1' }, timeout: '1h' },
  },
  {
    op: 'Gateway',
    id: 'b2',
    opts: { url: 'https://a.example', method: 'POST', headers: { 'x-a': 'b' }, body: 'b' },
  },
  {
    op: 'AIGateway',
    id: 'b3',
    opts: {
      url: 'https://a.example',
      auth_key: PLANTED,
      format: 'openai-chat',
      headers: {},
      body: { model: 'm' },
    },
  },
  { op: 'RunComplete', id: 'b4', data: { x: 1 } },
  { op: 'None', id: 'b5' },
];

export const EXPRESSIONS = [
  `event.data.a.b == 'x' && event.data.n > 1`,
  `event.data.id == async.data.id`,
  `event.data.l.all(x, x > 0) || event.data.l.exists(y, y == 'a')`,
  `event.data.l.map(x, x + 1).filter(y, y < 3)`,
  `has(event.data.a) ? size(event.data.a) : -1`,
  `event.data.s.matches('^(a|b)+$') && event.data.s.startsWith("p")`,
  `timestamp(event.data.s) < now() + duration('1h')`,
  `lowercase(event.data.s) + '-' + string(event.data.n)`,
  `[1, 2.5, 'x', true, null][event.data.n] in event.data.l`,
  `{'a': event.data.n}['a'] * 9223372036854775807`,
  `json_parse(event.data.s).x == int('12') % 5u`,
  `event.data.l[0].getHours('Europe/Berlin')`,
];

export const SCHEDULES = [
  '*/5 * * * *',
  'TZ=Europe/Paris 0 12 * * 1-5',
  '0 0 29 2 *',
  '@daily',
  '15,45 1-5/2 1 jan,feb mon',
];

export const DURATIONS = ['1h30m', '2.5 days', '18h 30m', '500', '1w', '.5s', ''];

export const INSTANTS = [
  '2026-11-20T12:00:00Z',
  '2026-11-20T12:00:00.123+05:30',
  '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
];
