/** Reads Parquet reports one row group at a time, and only the required columns. */
import { type FileHandle, open } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetRead, parquetSchema } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { SnapError } from '../errors.ts';
import { MiB } from '../lib/units.ts';
import type { Cell } from './cell.ts';
import { type ColumnLayout, type ColumnName, columnLayoutOf } from './columns.ts';
import { notAReport, type RowSink } from './row-sink.ts';
import { damaged } from './unpack.ts';

/** Maximum size in bytes of one column in one row group. Those of AWS are about a hundredth of it. */
const LARGEST_COLUMN = 1024 * MiB;

/** @throws SnapError `USAGE` if the file is not a report, `REPORT` if it is damaged or a column is too large. */
export async function readParquet(path: string, name: string, sink: RowSink, signal: AbortSignal): Promise<void> {
  await using handle = await open(path);
  try {
    await readGroups(await asyncBuffer(handle), name, sink, signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof SnapError ? error : damaged(name, error);
  }
}

async function asyncBuffer(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      await handle.read(bytes, 0, bytes.length, start);
      return bytes.buffer;
    },
  };
}

async function readGroups(file: AsyncBuffer, name: string, sink: RowSink, signal: AbortSignal): Promise<void> {
  const metadata = await parquetMetadataAsync(file);
  const header = parquetSchema(metadata).children.map(({ element }) => element.name);
  const layout = columnLayoutOf(header);
  if (layout === null) throw notAReport(name, `its first columns are ${header.slice(0, 5).join(', ')}`);
  sink.layout(layout);
  checkSizes(metadata, name);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    signal.throwIfAborted();
    const rowEnd = rowStart + Number(group.num_rows);
    const read = (column: string) => readColumn(file, metadata, column, rowStart, rowEnd);
    await readGroup({ read, rowStart, rows: rowEnd - rowStart }, header, layout, sink);
    rowStart = rowEnd;
  }
}

/** The columns that may name a snapshot. */
const tellingColumns = ({ places }: ColumnLayout): ColumnName[] =>
  (['usageType', 'meter', 'resource', 'description'] as const).filter(
    (column) => places[column] !== undefined && (column !== 'description' || places.usageType === undefined),
  );

interface Group {
  read(column: string): Promise<Cell[]>;
  rowStart: number;
  rows: number;
}

/** Reads the columns that may name a snapshot first, and the others only if one does. */
async function readGroup(group: Group, header: readonly string[], layout: ColumnLayout, sink: RowSink): Promise<void> {
  const nameOf = (column: ColumnName): string => header[layout.places[column] ?? -1] ?? '';
  const values: Partial<Record<ColumnName, Cell[]>> = {};
  const marked = new Set<number>();
  for (const column of tellingColumns(layout)) {
    (await group.read(nameOf(column))).forEach((value, row) => {
      if (String(value).includes('napshot')) marked.add(row);
    });
  }
  for (let row = 0; row < group.rows; row++) sink.row();
  if (marked.size === 0) return;
  const chosen = [...marked].sort((one, other) => one - other);
  for (const column of Object.keys(layout.places) as ColumnName[]) {
    const all = await group.read(nameOf(column));
    values[column] = chosen.map((row) => all[row]);
  }
  chosen.forEach((row, at) => {
    sink.cells((column) => values[column]?.[at], group.rowStart + row + 1);
  });
}

async function readColumn(
  file: AsyncBuffer,
  metadata: FileMetaData,
  column: string,
  rowStart: number,
  rowEnd: number,
): Promise<Cell[]> {
  const values: Cell[] = new Array(rowEnd - rowStart).fill(null);
  await parquetRead({
    file,
    metadata,
    columns: [column],
    rowStart,
    rowEnd,
    compressors: COMPRESSORS,
    onChunk: ({ columnData, rowStart: from }) => {
      for (let at = 0; at < columnData.length; at++) values[from - rowStart + at] = columnData[at] as Cell;
    },
  });
  return values;
}

/** Uses zlib of Node.js for speed, limited to the page size that the file states. */
const COMPRESSORS = {
  ...compressors,
  GZIP: (input: Uint8Array, outputLength: number) => gunzipSync(input, { maxOutputLength: outputLength }),
};

function checkSizes({ row_groups: groups }: FileMetaData, name: string): void {
  for (const { columns } of groups) {
    const largest = Math.max(0, ...columns.map(({ meta_data: data }) => Number(data?.total_uncompressed_size ?? 0)));
    if (largest <= LARGEST_COLUMN) continue;
    throw new SnapError('REPORT', `${name} has a column of ${largest} bytes in one row group`, {
      hint: 'columns of cost reports are far smaller; check the file, or export the report as CSV',
    });
  }
}
