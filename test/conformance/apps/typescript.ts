/**
 * An app on an official TypeScript SDK, or on our own, in a process of its own: `node typescript.ts <package> <app id>`. All that it is told of the
 * engine comes in the SDK's own environment variables. Prints its port when it listens.
 */
import { createServer, type RequestListener } from 'node:http';

/* oxlint-disable typescript/no-explicit-any -- the SDKs' declarations bring the browser's types with them (see ../sdks.ts) */
type Code = (context: any) => unknown;

const [, , name = 'inngest-v4', id = 'app'] = process.argv;
const { Inngest, NonRetriableError, referenceFunction } = await import(name);
const { serve } = (await import(`${name}/node`)) as { serve: (options: object) => RequestListener };

const client = new Inngest({ id });
const isThree = name !== 'inngest-v4';

/** The two versions differ in where the triggers are written. */
function fn(own: string, options: object, code: Code): unknown {
  const trigger = { event: `${id}/${own}` };
  return isThree
    ? client.createFunction({ id: own, ...options }, trigger, code)
    : client.createFunction({ id: own, triggers: [trigger], ...options }, code);
}

const functions = [
  fn('sequence', {}, async ({ step, event }) => {
    const a = await step.run('a', () => ({ n: event.data.n }));
    await step.sleep('nap', '100ms');
    const b = await step.run('b', () => a.n + 1);
    return { a, b };
  }),

  fn('parallel', {}, async ({ step }) => {
    const names = Array.from({ length: 5 }, (_, n) => `p${n}`);
    const all = await Promise.all(names.map((one) => step.run(one, () => one)));
    const [first] = await Promise.all([step.run('first', () => all.length), step.sleep('nap', '100ms')]);
    return { all, first, last: await step.run('last', () => 'last') };
  }),

  fn('flaky', { retries: 3 }, async ({ step, attempt }) =>
    step.run('shaky', () => {
      if (attempt < 2) throw new Error('not yet');
      return `attempt ${attempt}`;
    }),
  ),

  fn('caught', { retries: 1 }, async ({ step }) => {
    try {
      await step.run('broken', () => {
        throw new Error('oh no');
      });
    } catch (error) {
      return `caught ${(error as Error).message}`;
    }
    return 'not reached';
  }),

  fn(
    'failing',
    {
      retries: 0,
      onFailure: async ({ step, error, event }: any) => {
        const key = event.data.event.data.key;
        await step.sendEvent('tell', { name: `${id}/mourned`, data: { key, message: error.message } });
      },
    },
    () => {
      throw new NonRetriableError('for good');
    },
  ),

  fn('waiter', {}, async ({ step, event }) => {
    const found = await step.waitForEvent('wait', {
      event: `${id}/wake`,
      timeout: event.data.timeout,
      match: 'data.key',
    });
    return { found: found?.data.word ?? null };
  }),

  fn('child', { retries: 0 }, async ({ event, step }) => {
    if (event.data.fail === true) throw new NonRetriableError('child failed');
    return step.run('double', () => event.data.n * 2);
  }),

  fn('invoker', {}, async ({ step }) => {
    const child = referenceFunction({ appId: id, functionId: 'child' });
    const good = await step.invoke('good', { function: child, data: { n: 21 } });
    const bad = await step
      .invoke('bad', { function: child, data: { fail: true } })
      .catch((error: Error) => error.message);
    const nobody = referenceFunction({ appId: id, functionId: 'nobody' });
    const none = await step
      .invoke('none', { function: nobody, data: {} })
      .catch((error: Error) => error.message);
    return { good, bad, none };
  }),

  fn('sender', {}, async ({ step, event }) => {
    const { ids } = await step.sendEvent('send', { name: `${id}/sequence`, data: { n: event.data.n } });
    return ids;
  }),

  fn('sleeper', { cancelOn: [{ event: `${id}/cancel`, match: 'data.key' }] }, async ({ step }) => {
    await step.sleep('long', '1h');
    return 'awake';
  }),

  fn('large', {}, async ({ step }) => {
    const a: string = await step.run('a', () => 'x'.repeat(2_500_000));
    const b: string = await step.run('b', () => 'y'.repeat(2_500_000));
    await step.sleep('nap', '1ms');
    return [a.length, b.length];
  }),
];

/** For test/bench/remote.ts: as many steps as the event says. */
const work: Code = async ({ step, event }) => {
  const { steps, sideBySide } = event.data as { steps: number; sideBySide: boolean };
  const one = (n: number) => step.run(`s${n}`, () => n);
  const all = Array.from({ length: steps }, (_, n) => n);
  if (sideBySide) await Promise.all(all.map(one));
  else for (const n of all) await one(n);
};
// Checkpointing is on where nothing else is said, in version 4.
functions.push(fn('work', { checkpointing: false }, work), fn('checkpointed', {}, work));

const server = createServer(serve({ client, functions }));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' ? address?.port : address);
});
