/** Registrations as the four SDKs send them (wire 2.3, 2.4; XL-50 to XL-62), shortened to what differs. */

export const typescript = {
  url: 'http://127.0.0.1:3004/api/inngest?deployId=d1',
  deployType: 'ping',
  framework: 'nodejs',
  appName: 'app4',
  appVersion: '1.2.3',
  sdk: 'js:v4.24.0',
  v: '0.1',
  deployId: 'd1',
  capabilities: { trust_probe: 'v1', connect: 'v1', in_band_sync: 'v1' },
  featureObservations: { middleware: true },
  functions: [
    {
      id: 'app4-kitchen',
      name: 'Kitchen',
      triggers: [{ event: 'demo/config' }, { cron: '0 0 * * *' }],
      steps: {
        step: {
          id: 'step',
          name: 'step',
          runtime: {
            type: 'http',
            url: 'http://127.0.0.1:3004/api/inngest?fnId=app4-kitchen&stepId=step',
          },
          retries: { attempts: 7 },
        },
      },
      idempotency: 'event.data.id',
      concurrency: [{ limit: 2 }, { limit: 1, key: 'event.data.u', scope: 'env' }],
      throttle: { limit: 1, period: '5s', burst: 2, key: 'event.data.u' },
      debounce: { period: '5s', key: 'event.data.u', timeout: '30s' },
      priority: { run: '120' },
      timeouts: { start: '10s', finish: '30s' },
      cancel: [{ event: 'demo/cancel', if: 'event.data.u == async.data.u', timeout: '1h' }],
      checkpoint: { max_runtime: '5m' },
    },
    {
      id: 'app4-kitchen-failure',
      name: 'Kitchen (failure)',
      triggers: [
        { event: 'inngest/function.failed', expression: "event.data.function_id == 'app4-kitchen'" },
      ],
      steps: {
        step: {
          id: 'step',
          name: 'step',
          runtime: {
            type: 'http',
            url: 'http://127.0.0.1:3004/api/inngest?fnId=app4-kitchen-failure&stepId=step',
          },
          retries: { attempts: 1 },
        },
      },
    },
  ],
};

export const typescript3 = {
  url: 'https://shop.example/api/inngest',
  deployType: 'ping',
  framework: 'express',
  appName: 'shop',
  functions: [
    {
      id: 'shop-pay',
      name: 'shop-pay',
      triggers: [{ event: 'shop/*' }],
      steps: {
        step: {
          id: 'step',
          name: 'step',
          runtime: { type: 'http', url: 'https://shop.example/api/inngest?fnId=shop-pay&stepId=step' },
        },
      },
      concurrency: 5,
      batchEvents: { maxSize: 10, timeout: '5s' },
    },
  ],
  sdk: 'js:v3.54.2',
  v: '0.1',
  capabilities: { trust_probe: 'v1', connect: 'v1' },
};

export const python = {
  appname: 'py-app',
  deploy_type: 'ping',
  framework: 'flask',
  functions: [
    {
      batchEvents: null,
      cancel: null,
      concurrency: null,
      debounce: null,
      id: 'py-app-hello',
      idempotency: null,
      name: 'hello',
      priority: null,
      rateLimit: null,
      singleton: null,
      steps: {
        step: {
          id: 'step',
          name: 'step',
          retries: { attempts: 0 },
          runtime: { type: 'http', url: 'http://localhost:8000/api/inngest?fnId=py-app-hello&stepId=step' },
        },
      },
      throttle: null,
      timeouts: null,
      triggers: [{ event: 'py/hello', expression: null }, { cron: 'TZ=Europe/Paris 0 9 * * 1' }],
    },
  ],
  sdk: 'py:v0.5.18',
  url: 'http://localhost:8000/api/inngest',
  v: '0.1',
  capabilities: { in_band_sync: 'v1', trust_probe: 'v1', connect: 'v1' },
};

export const go = {
  url: 'http://localhost:9000/api/inngest',
  v: '1',
  deployType: 'ping',
  sdk: 'go:v0.16.0',
  framework: '',
  appName: 'go-app',
  appVersion: null,
  headers: { env: '', platform: 'fly' },
  idempotencyKey: '',
  capabilities: { in_band_sync: 'v1', trust_probe: 'v1', connect: 'v1' },
  functions: [
    {
      name: 'Work',
      id: 'go-app-work',
      priority: null,
      concurrency: {
        fn: [{ limit: 1, hash: '' }],
        step: [{ limit: 2, key: 'event.data.u', scope: 'Env', hash: '' }],
      },
      idempotency: null,
      retries: 2,
      cancel: null,
      debounce: null,
      timeouts: null,
      throttle: null,
      rateLimit: null,
      batchEvents: null,
      Singleton: { key: 'event.data.u', mode: 'Skip' },
      checkpoint: null,
      triggers: [{ event: 'go/work', expression: null }],
      steps: {
        step: {
          id: 'step',
          name: 'Work',
          runtime: { url: 'http://localhost:9000/api/inngest?fnId=go-app-work&step=step' },
          retries: { attempts: 2 },
        },
      },
    },
  ],
};

/** One function that is as small as can be. */
export function wireFunction(change: object = {}, id = 'shop-pay'): Record<string, unknown> {
  const runtime = { type: 'http', url: `https://shop.example/api/inngest?fnId=${id}&stepId=step` };
  const steps = { step: { id: 'step', name: 'step', runtime } };
  return { id, name: id, triggers: [{ event: 'shop/paid' }], steps, ...change };
}
