/** Queue messages as dispatch sees them: when one is given back, and when it is given up. */
import type { z } from 'zod';
import type { DeadMessage } from '../protocol/message.ts';
import type { Log, Sender } from '../ports.ts';

/** The part of a platform's message that is used here. */
export interface Message {
  readonly body: unknown;
  /** Deliveries so far, this one included. */
  readonly attempts: number;
  ack(): void;
  retry(options?: { delaySeconds?: number }): void;
}

export interface DeliveryDeps {
  dead: Sender<DeadMessage>;
  log: Log;
}

const DELAY_MAX_SECONDS = 300;

/** 2 s, 4 s, 8 s, ... so that what fails costs ever less. */
export function giveBack(message: Message): void {
  message.retry({ delaySeconds: Math.min(2 ** message.attempts, DELAY_MAX_SECONDS) });
}

/** To the dead letters, with the reason. If even that fails the message comes back. */
export async function bury(deps: DeliveryDeps, message: Message, letter: DeadMessage): Promise<void> {
  deps.log.error(`dispatch: a message of ${letter.queue} is given up`, { reason: letter.reason });
  try {
    await deps.dead.send([letter]);
    message.ack();
  } catch (error) {
    deps.log.error('dispatch: the dead letter queue did not take a message', { error });
    giveBack(message);
  }
}

/** Path and kind of the first thing wrong: never a value. */
export function issueText(error: z.ZodError): string {
  const issue = error.issues[0];
  return `${['message', ...(issue?.path ?? [])].join('.')}: ${issue?.code ?? 'invalid'}`;
}

/** Name and, where the platform gives one, the flag: the text may hold what it likes and stays out. */
export function errorKind(error: unknown): string {
  if (!(error instanceof Error)) return `thrown ${typeof error}`;
  const { overloaded, retryable } = error as { overloaded?: boolean; retryable?: boolean };
  return [error.name, overloaded === true && 'overloaded', retryable === true && 'retryable']
    .filter(Boolean)
    .join(' ');
}
