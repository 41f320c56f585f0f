/**
 * The way in for every event: authorised by the caller, checked here, given ids, made durable. Answers the internal ids in the
 * order of the events; throws a `Refusal` and stores nothing otherwise.
 */
import type { Clock, Entropy, Seal } from '../ports.ts';
import type { EventInput, StoredEvent } from '../protocol/event.ts';
import { limits } from '../protocol/limits.ts';
import { utf8Length } from '../lib/json.ts';
import { readText, tooLarge } from './body.ts';
import { makeDurable, type Background, type DurableDeps } from './durable.ts';
import { idsFromHeader, idsFromText, randomIds, type IdMaker } from './ids.ts';
import { Refusal } from './refusal.ts';
import { parseEvents } from './validate.ts';

export interface IntakeDeps extends DurableDeps {
  /** Null when the deployment has no encryption key: events with `user` are then refused. */
  seal: Pick<Seal, 'seal'> | null;
  clock: Clock;
  entropy: Entropy;
  /** Makes sure, before anything is accepted, that a sweep will come. Never rejects. */
  arm: () => Promise<void>;
}

export interface IntakeRequest {
  env: string;
  source?: StoredEvent['source'];
  body: ReadableStream<Uint8Array> | null;
  contentLength: string | null;
  /** The header `x-inngest-event-id-seed`. */
  seed: string | null;
  background: Background;
}

/** `POST /e/:key`: the body is one event or an array, whatever its content type says (EA-2, EA-3). */
export async function acceptRequest(deps: IntakeDeps, request: IntakeRequest): Promise<string[]> {
  if (Number(request.contentLength ?? 0) > limits.requestBytes) throw tooLarge(limits.requestBytes);
  const inputs = parseEvents(await readText(request.body, limits.requestBytes));
  const now = deps.clock.now();
  const ids = idsFromHeader(request.seed ?? '', now) ?? randomIds(now, deps.entropy);
  const { env, source, background } = request;
  return accept(deps, inputs, { env, source, now, ids, background });
}

export interface Send {
  env: string;
  source?: StoredEvent['source'];
  /** Names this send, e.g. by run and step: the same text at the same moment gives the same ids. */
  seed: string;
  /** A moment that does not change when the send is repeated, e.g. when its step began. It is the time part of the ids. */
  at: number;
}

/** Events that a function sends, by the same rules as any other sender's. */
export async function acceptEvents(deps: IntakeDeps, events: unknown[], send: Send): Promise<string[]> {
  const text = jsonText(events);
  if (utf8Length(text) > limits.requestBytes) throw tooLarge(limits.requestBytes);
  const inputs = parseEvents(text);
  return accept(deps, inputs, {
    env: send.env,
    source: send.source,
    now: deps.clock.now(),
    ids: idsFromText(send.seed, send.at),
    background: () => undefined,
  });
}

interface Accepting {
  env: string;
  source: StoredEvent['source'];
  now: number;
  ids: IdMaker;
  background: Background;
}

async function accept(deps: IntakeDeps, inputs: EventInput[], how: Accepting): Promise<string[]> {
  if (inputs.length === 0) return [];
  const events = await Promise.all(inputs.map((input, index) => complete(deps, input, index, how)));
  await deps.arm();
  await makeDurable(deps, events, how.now, how.background);
  return events.map((event) => event.internalId);
}

/** Fills in what the sender left out. Absent, `null` and the zero values of other languages' SDKs are the same (EVT-7, 16, 18). */
async function complete(
  deps: IntakeDeps,
  input: EventInput,
  index: number,
  { env, source, now, ids }: Accepting,
): Promise<StoredEvent> {
  const user = await sealUser(deps, input, index, env);
  return {
    internalId: ids(index),
    env,
    name: input.name,
    data: input.data ?? {},
    ...(user === null ? {} : { user }),
    ...(input.id ? { id: input.id } : {}),
    ts: input.ts || now,
    ...(input.v == null ? {} : { v: input.v }),
    receivedAt: now,
    ...(source === undefined ? {} : { source }),
  };
}

/** An empty `user` says nothing and is what everybody sees without one (EVT-27): SDKs send it by default. */
async function sealUser(
  deps: IntakeDeps,
  input: EventInput,
  index: number,
  env: string,
): Promise<string | null> {
  if (input.user == null || Object.keys(input.user).length === 0) return null;
  if (deps.seal === null) {
    throw new Refusal(501, `events[${index}].user: cannot be kept encrypted: set STEPWELL_ENCRYPTION_KEY`);
  }
  return deps.seal.seal(input.user, env);
}

function jsonText(events: unknown[]): string {
  try {
    return JSON.stringify(events);
  } catch {
    throw new Refusal(400, 'events: cannot be written as JSON');
  }
}
