/** The end of a run as a table. */
import { formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';
import type { ReportRow, RunReport } from '../../../operations/shared/run-report.ts';

/** What a column is called, and what it says of a snapshot; `null` where there is nothing to say. */
type Column = [heading: string, cell: (row: ReportRow) => string | null];

const bytesOrNull = (bytes: number): string | null => (bytes === 0 ? null : formatBytes(bytes));

const COLUMNS: readonly Column[] = [
  ['snapshot', ({ snapshot }) => snapshot],
  ['outcome', (row) => (row.differenceCount ? `${row.differenceCount} differences` : row.outcome)],
  ['read', ({ plainBytes }) => bytesOrNull(plainBytes)],
  ['stored', ({ storedBytes }) => bytesOrNull(storedBytes)],
  ['ratio', ratioOf],
  ['restored', ({ restoredBytes }) => bytesOrNull(restoredBytes)],
  ['fetched', ({ fetchedBytes }) => bytesOrNull(fetchedBytes)],
  ['time', ({ seconds }) => formatDuration(seconds)],
  ['monthly', ({ dollarsMonth }) => (dollarsMonth === null ? null : formatDollars(dollarsMonth))],
];

function ratioOf({ plainBytes, storedBytes }: ReportRow): string | null {
  return plainBytes === 0 || storedBytes === 0 ? null : `${(plainBytes / storedBytes).toFixed(2)}:1`;
}

/**
 * Columns that say nothing of any snapshot are left out. The reason of a single failure has just been told.
 * @returns lines; columns from the third on are aligned to the right.
 */
export function reportTable({ snapshots }: RunReport): string[] {
  const columns = COLUMNS.map(([heading, cell]) => [heading, ...snapshots.map((row) => cell(row) ?? '-')]).filter(
    ([, ...cells]) => cells.some((cell) => cell !== '-'),
  );
  const widths = columns.map((cells) => Math.max(...cells.map(({ length }) => length)));
  const line = (row: number): string =>
    columns
      .map((cells, column) => {
        const [cell = '', width = 0] = [cells[row], widths[column]];
        return column < 2 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  const reasons = (row: ReportRow): string[] =>
    snapshots.length > 1 && row.reason !== null ? [`  ${row.reason}`] : [];
  return [line(0), ...snapshots.flatMap((row, index) => [line(index + 1), ...reasons(row)])];
}
