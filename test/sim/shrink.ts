/** A failing history made smaller: the fewest faults, then events, then cancellations with which it still fails. */
import { simulate, type Options, type Outcome } from './history.ts';

export interface Failure {
  options: Options;
  outcome: Outcome;
}

const RUN_IDS = /\b01[0-9A-HJKMNP-TV-Z]{24}\b/g;
const BOUNDS = ['faults', 'events', 'cancels'] as const;

export async function shrink(options: Options): Promise<Failure> {
  let smallest = options;
  let outcome = await simulate({ ...options, isLogged: true });
  for (const bound of BOUNDS) {
    const most = bound === 'faults' ? sum(outcome.faults.values()) : outcome[bound];
    for (let tried = 0; tried < most; tried++) {
      const smaller = { ...smallest, [bound]: tried };
      const found = await simulate({ ...smaller, isLogged: true });
      if (found.violations.length === 0) continue;
      smallest = smaller;
      outcome = found;
      break;
    }
  }
  return { options: smallest, outcome };
}

/** What to type to see it again. */
export function command({ seed, alwaysEvict, about, faults, events, cancels }: Options): string {
  const bounds = Object.entries({ faults, events, cancels }).flatMap(([name, most]) =>
    most === undefined ? [] : [`--${name} ${most}`],
  );
  return [
    'npm run sim --',
    `--seed ${seed}`,
    ...(alwaysEvict === true ? ['--always-evict'] : []),
    ...(about === undefined ? [] : [`--about ${about}`]),
    ...bounds,
  ].join(' ');
}

/** Of the log only what is about the runs that something is wrong with, and what is about none. */
export function story({ options, outcome }: Failure): string {
  const named = new Set(outcome.violations.join(' ').match(RUN_IDS));
  const isTold = (line: string) => {
    const ids = line.match(RUN_IDS) ?? [];
    return ids.length === 0 || ids.some((id) => named.has(id));
  };
  const log = named.size === 0 ? outcome.log : outcome.log.filter(isTold);
  const left = outcome.log.length - log.length;
  return report({ options, outcome: { ...outcome, log: [...log, `(and ${left} lines about other runs)`] } });
}

export function report({ options, outcome }: Failure): string {
  return [
    `seed ${options.seed}: ${outcome.violations[0] ?? 'passes'}`,
    ...outcome.violations.slice(1).map((violation) => `  ${violation}`),
    '',
    ...outcome.log,
    '',
    `again: ${command(options)}`,
  ].join('\n');
}

export function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, number) => total + number, 0);
}
