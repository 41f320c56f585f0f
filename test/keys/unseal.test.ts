import { describe, expect, test } from 'vitest';
import { isSealed, unseal } from '../../src/keys/unseal.ts';
import type { EventView } from '../../src/protocol/event.ts';

const seal = { open: async (text: string) => ({ opened: text }) };

function view(change: Partial<EventView>): EventView {
  return { name: 'shop/paid', data: {}, id: 'id', ts: 1, user: {}, ...change };
}

function ending(name: string, started: EventView): EventView {
  return view({ name, data: { event: { ...started }, events: [{ ...started }] } });
}

const sealed = view({ user: { $sealed: 'v1.x' } });
const open = view({ user: { opened: 'v1.x' } });

describe('what is sealed', () => {
  test('is opened in a copy', async () => {
    expect(await unseal(sealed, seal, 'main')).toEqual(open);
    expect(sealed.user).toEqual({ $sealed: 'v1.x' });
  });

  test.each(['inngest/function.failed', 'inngest/function.cancelled', 'inngest/function.finished'])(
    'is opened inside %s too, however deep',
    async (name) => {
      expect(await unseal(ending(name, sealed), seal, 'main')).toEqual(ending(name, open));
      const deep = (inner: EventView) => ending('inngest/function.failed', ending(name, inner));
      expect(await unseal(deep(sealed), seal, 'main')).toEqual(deep(open));
    },
  );

  test('cannot be opened without a key', async () => {
    await expect(unseal(sealed, null, 'main')).rejects.toThrow('STEPWELL_ENCRYPTION_KEY');
  });
});

test.each(['shop/paid', 'inngest/function.invoked'])(
  'what looks so in the data of %s is plain data',
  (name) => {
    expect(isSealed(ending(name, sealed))).toBe(false);
  },
);
