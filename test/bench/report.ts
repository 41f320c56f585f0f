/** The table and its verdicts. */

export interface Line {
  what: string;
  /** The engine's own figure. */
  value: number;
  unit: string;
  /** What it is held against; nothing for figures that are only told. */
  against?: { name: string; value: number };
  target?: Target;
}

/** `ratio` is of value to what it is held against, `value` the figure itself. */
export type Target = { of: 'ratio' | 'value'; at: 'most' | 'least'; limit: number };

export interface Verdict extends Line {
  ratio: number | null;
  met: boolean | null;
}

export const ratioAtMost = (limit: number): Target => ({ of: 'ratio', at: 'most', limit });
export const ratioAtLeast = (limit: number): Target => ({ of: 'ratio', at: 'least', limit });
export const valueAtMost = (limit: number): Target => ({ of: 'value', at: 'most', limit });

export function judge(line: Line): Verdict {
  const ratio = line.against === undefined ? null : line.value / line.against.value;
  if (line.target === undefined) return { ...line, ratio, met: null };
  const { of, at, limit } = line.target;
  const judged = of === 'ratio' ? (ratio ?? NaN) : line.value;
  return { ...line, ratio, met: at === 'most' ? judged <= limit : judged >= limit };
}

export function table(verdicts: readonly Verdict[]): string {
  const head = ['', 'Stepwell', 'held against', '', 'ratio', 'target', ''];
  const rows = verdicts.map(({ what, value, unit, against, ratio, target, met }) => [
    what,
    `${figure(value)} ${unit}`,
    against?.name ?? '',
    against === undefined ? '' : `${figure(against.value)} ${unit}`,
    ratio === null ? '' : figure(ratio),
    target === undefined
      ? ''
      : `${target.at === 'most' ? '<=' : '>='} ${target.limit}${target.of === 'value' ? ` ${unit}` : ''}`,
    met === null ? '' : met ? 'met' : 'MISSED',
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const right = new Set([1, 3, 4, 5]);
  const line = (row: string[]) =>
    row
      .map((cell, column) =>
        right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
