/** The interface to which the readers of all formats pass rows. */
import { SnapError } from '../errors.ts';
import type { CellOf } from './cell.ts';
import type { ColumnLayout } from './columns.ts';

export interface RowSink {
  /** Is called before the rows of a file, once for each file in a zip file. */
  layout(layout: ColumnLayout): void;
  /** Is called for each row of any kind. */
  row(): void;
  /** A row that may concern snapshots. */
  cells(cell: CellOf, rowNumber: number): void;
  /** A malformed row, with the reason. */
  broken(reason: string, rowNumber: number): void;
}

export const notAReport = (name: string, why: string): SnapError =>
  new SnapError('USAGE', `${name} is not a cost report: ${why}`, {
    hint: 'specify a Cost and Usage Report (CSV, gz, zip or Parquet), a CUR 2.0 export, or a FOCUS 1.0 or 1.2 export',
  });
