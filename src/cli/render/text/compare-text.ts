/** Cost comparisons as Markdown tables, which are also readable on a terminal. */
import type { ComparedTable, Comparison } from '../../../costs/compare.ts';
import { type BreakEven, formatPercent } from '../../../costs/compare-model.ts';
import { count } from '../../../lib/units.ts';

export function comparisonText(comparison: Comparison, withSnapshots: boolean): string {
  const { prices, note, tables } = comparison;
  const head = [`With ${prices}.`, ...(note === null ? [] : [`Note: ${note}.`])].join('\n');
  return [head, ...tables.map((table) => tableText(table, comparison, withSnapshots))].join('\n\n');
}

function tableText(table: ComparedTable, { currency }: Comparison, withSnapshots: boolean): string {
  const { compression, snapshots, sizeGiB, options } = table.input;
  const isPlain = compression === 1;
  const names = options.map(({ name, isCompressed }) => (isCompressed && !isPlain ? `${name} ${compression}:1` : name));
  const columns = [
    ['Change between snapshots', ...table.rows.map(({ change }) => `${tidy(change * 100)}%`)],
    ...(withSnapshots ? [[`EBS ${currency}/month`, ...table.rows.map((row) => row.snapshots.toFixed(2))]] : []),
    ...names.map((name, at) => [name, ...table.rows.map(({ costs }) => formatPercent(costs[at]?.ofSnapshots ?? 0))]),
  ];
  const packing = isPlain ? 'without compression' : `compressed ${compression}:1`;
  return [
    `${count(snapshots, 'snapshot')} of ${sizeGiB} GiB, archives ${packing}; cost as a percentage of the cost of EBS snapshots:`,
    markdownTable(columns),
    ...breakEvenLines(table, names),
  ].join('\n\n');
}

/** Minimum widths of the first two columns. */
const MIN_WIDTHS = [0, 7];

function markdownTable(columns: readonly (readonly string[])[]): string {
  const widths = columns.map((column, at) => Math.max(MIN_WIDTHS[at] ?? 0, ...column.map(({ length }) => length)));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const row = (at: number) => line(columns.map((column, place) => (column[at] ?? '').padEnd(widths[place] ?? 0)));
  const rule = line(widths.map((width) => '-'.repeat(width)));
  const [head = '', ...rows] = [...(columns[0] ?? []).keys()].map(row);
  return [head, rule, ...rows].join('\n');
}

function breakEvenLines({ input, breakEven }: ComparedTable, names: readonly string[]): string[] {
  const list = (of: 'forThese' | 'forMany') =>
    breakEven.map((point, at) => `${names[at]} ${breakEvenText(point[of])}`).join(', ');
  const { snapshots } = input;
  return [
    `Cheaper than EBS snapshots above this change, for many snapshots: ${list('forMany')}.`,
    `Cheaper than EBS snapshots above this change, for ${count(snapshots, 'snapshot')}: ${list('forThese')}.`,
  ];
}

const breakEvenText = (point: BreakEven): string => (typeof point === 'number' ? formatPercent(point) : point);

const tidy = (value: number): number => Number(value.toPrecision(6));
