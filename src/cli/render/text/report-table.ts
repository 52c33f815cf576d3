/** The report of a run as a table. */
import { formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';
import type { ReportRow, RunReport } from '../../../operations/shared/run-report.ts';

/** The heading of a column, and the cell of a snapshot; `null` is shown as `-`. */
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
 * Columns without any value are omitted. The reason for a failure is shown only if there are several snapshots: for a
 * single one, the event before the table shows it.
 * @returns lines without newlines; the third and the following columns are right-aligned.
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
