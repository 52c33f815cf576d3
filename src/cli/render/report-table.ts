/** The end of a run as a table. */
import { formatBytes, formatDollars, formatDuration } from '../../lib/units.ts';
import type { ReportRow, RunReport } from '../../operations/run-report.ts';

const HEADINGS = ['snapshot', 'outcome', 'read', 'stored', 'ratio', 'time', 'monthly'];

/** @returns lines; columns from the third on are aligned to the right. */
export function reportTable({ snapshots }: RunReport): string[] {
  const rows = [HEADINGS, ...snapshots.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
  const [headings = [], ...others] = rows.map((row) => line(row).join('  ').trimEnd());
  const reasons = snapshots.flatMap((row, index) => [others[index] ?? '', ...reasonOf(row)]);
  return [headings as string, ...reasons];
}

function cells(row: ReportRow): string[] {
  const { plainBytes, storedBytes, dollarsMonth } = row;
  return [
    row.snapshot,
    row.differenceCount ? `${row.differenceCount} differences` : row.outcome,
    plainBytes === 0 ? '-' : formatBytes(plainBytes),
    storedBytes === 0 ? '-' : formatBytes(storedBytes),
    plainBytes === 0 || storedBytes === 0 ? '-' : `${(plainBytes / storedBytes).toFixed(2)}:1`,
    formatDuration(row.seconds),
    dollarsMonth === null ? '-' : formatDollars(dollarsMonth),
  ];
}

const reasonOf = ({ reason }: ReportRow): string[] => (reason === null ? [] : [`  ${reason}`]);
