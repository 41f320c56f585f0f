/** What the counted work costs on the paid plan, beyond what is included; CPU and duration left out: they cannot be read locally. */
import type { Counts } from './count.ts';

/** Dollars a million. */
const PRICES = { requests: 0.3, objectRequests: 0.15, rows: 1, queueOperations: 0.4, workflowSteps: 8 };

export interface Bill {
  steps: number;
  /** Of one run. */
  counts: Counts;
  /** Dollars for a million runs. */
  dollars: {
    requests: number;
    objectRequests: number;
    objectRows: number;
    queue: number;
    d1: number;
    total: number;
  };
  /** The same on Workflows: a request and the steps. */
  workflows: number;
}

export function billOf(steps: number, counted: Counts, runs: number): Bill {
  const counts = Object.fromEntries(
    Object.entries(counted).map(([what, n]: [string, number]) => [what, n / runs]),
  ) as unknown as Counts;
  const parts = {
    requests: counts.requests * PRICES.requests,
    objectRequests: counts.objectRequests * PRICES.objectRequests,
    objectRows: (counts.objectRows + counts.alarmRows) * PRICES.rows,
    queue: counts.queueOperations * PRICES.queueOperations,
    d1: counts.d1Rows * PRICES.rows,
  };
  const total = Object.values(parts).reduce((sum, dollars) => sum + dollars, 0);
  return {
    steps,
    counts,
    dollars: { ...parts, total },
    workflows: PRICES.requests + steps * PRICES.workflowSteps,
  };
}

export function billTable(bills: readonly Bill[]): string {
  const rows = bills.map(({ steps, counts, dollars, workflows }) => [
    String(steps),
    counts.objectRows.toFixed(1),
    counts.alarmRows.toFixed(1),
    counts.objectRequests.toFixed(1),
    counts.queueOperations.toFixed(1),
    counts.d1Rows.toFixed(1),
    counts.d1Batches.toFixed(1),
    `$${dollars.total.toFixed(2)}`,
    `$${workflows.toFixed(2)}`,
  ]);
  const head = [
    'steps',
    'object rows',
    'alarm rows',
    'object requests',
    'queue operations',
    'D1 rows',
    'D1 batches',
    'a million runs',
    'on Workflows',
  ];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '))
    .join('\n');
}
