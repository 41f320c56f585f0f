/**
 * The way to apps: over the network, or by a service binding of this Worker for a host that names one (`http://orders.binding/...`
 * goes to the binding `ORDERS`).
 */
import { bindingOf } from '../protocol/address.ts';
import type { AppNetwork } from '../ports.ts';
import { type OutgoingDeps, refusalOf, RequestRefused } from './outgoing.ts';

/** @param bindings of the Worker, by name. */
export function appNetwork(bindings: object, outgoing: OutgoingDeps): AppNetwork {
  const { allowsPrivate } = outgoing;
  const services = new Map(
    Object.entries(bindings).flatMap(([name, value]) =>
      isService(value) ? [[name.toLowerCase(), value]] : [],
    ),
  );

  function refusal(text: string): string | null {
    if (!URL.canParse(text)) return 'expected an absolute http or https address';
    const url = new URL(text);
    const binding = /^https?:$/.test(url.protocol) ? bindingOf(text) : null;
    if (binding !== null)
      return services.has(binding) ? null : `this Worker has no service binding ${binding}`;
    if (url.protocol === 'http:' && !allowsPrivate) {
      return 'expected https: the deployment does not allow plain http (STEPWELL_ALLOW_PRIVATE)';
    }
    return refusalOf(url, allowsPrivate);
  }

  return {
    refusal,
    async fetch(url, init, binding) {
      const reason = refusal(url);
      if (reason !== null) throw new RequestRefused(reason);
      const request = new Request(url, { ...init, redirect: 'manual' });
      const named = bindingOf(url);
      if (named === null) return outgoing.fetch(request);
      // An app elsewhere that redirects to a binding has no business there.
      if (named !== binding) throw new RequestRefused(`only its own app calls the service binding ${named}`);
      return (services.get(named) as OutgoingDeps).fetch(request);
    },
  };
}

function isService(value: unknown): value is Pick<OutgoingDeps, 'fetch'> {
  return typeof (value as { fetch?: unknown } | null)?.fetch === 'function';
}
