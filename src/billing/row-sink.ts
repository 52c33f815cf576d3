/** What the readers of all formats hand their rows to. */
import { SnapError } from '../errors.ts';
import type { CellOf } from './cell.ts';
import type { ColumnLayout } from './columns.ts';

export interface RowSink {
  /** Told before the rows that it is of: once, or once for each file in a zip file. */
  layout(layout: ColumnLayout): void;
  /** For each row, of whatever kind. */
  row(): void;
  /** A row that may concern snapshots. */
  cells(cell: CellOf, rowNumber: number): void;
  /** A row that cannot be used, and why. */
  broken(reason: string, rowNumber: number): void;
}

export const notAReport = (name: string, why: string): SnapError =>
  new SnapError('USAGE', `${name} is no cost report: ${why}`, {
    hint: 'give a Cost and Usage Report (CSV, gz, zip or Parquet), a CUR 2.0 export or a FOCUS 1.0 or 1.2 export',
  });
