/** Reads CSV reports. Papa Parse parses the rows that may concern snapshots; all other rows are only counted. */
import Papa from 'papaparse';
import { SnapError } from '../errors.ts';
import { KiB } from '../lib/units.ts';
import type { Cell } from './cell.ts';
import { type ColumnLayout, type ColumnName, columnLayoutOf } from './columns.ts';
import { CsvScan, OPEN_QUOTE } from './csv-scan.ts';
import { notAReport, type RowSink } from './row-sink.ts';
import { asUtf8 } from './text-encoding.ts';

/** Part of all usage types, ARNs and descriptions of snapshots, spelled `Snapshot` or `snapshot`. */
const MARK = 'napshot';

/** Size in bytes of a batch of rows that are parsed together. */
const BATCH = 128 * KiB;

/** @throws SnapError `USAGE` if the file is not a report, `REPORT` if a row does not end. */
export async function readCsv(chunks: AsyncIterable<Uint8Array>, name: string, sink: RowSink): Promise<void> {
  const rows = new ReportRows(name, sink);
  const scan = new CsvScan((chunk, start, end, fault) => rows.add(chunk, start, end, fault));
  for await (const chunk of asUtf8(chunks)) {
    if (!scan.add(chunk)) throw endless(name, rows.count);
  }
  scan.end();
  rows.finish();
}

const RETURNS_ONLY = "its lines end in carriage returns alone; convert it, for example with tr '\\r' '\\n'";

const endless = (name: string, rows: number): SnapError =>
  rows === 0
    ? notAReport(name, 'it does not consist of lines')
    : new SnapError('REPORT', `the row after row ${rows} of ${name} does not end; a closing quote may be missing`, {
        hint: 'download the report again; if the error remains, correct that row',
      });

class ReportRows {
  readonly #name: string;
  readonly #sink: RowSink;
  #layout: ColumnLayout | null = null;
  /** Number of rows so far, including the header. */
  count = 0;
  #chunk: Buffer | null = null;
  /** Offset of the next mark in the chunk; -1 if there is none. */
  #mark = -1;
  #batch: string[] = [];
  #batchRows: number[] = [];
  #batchBytes = 0;

  constructor(name: string, sink: RowSink) {
    this.#name = name;
    this.#sink = sink;
  }

  add(chunk: Buffer, start: number, end: number, fault: string | null): void {
    this.count++;
    if (this.#layout === null) {
      this.#layout = this.#header(chunk.toString('utf8', start, end));
      return;
    }
    this.#sink.row();
    if (fault !== null) {
      this.#sink.broken(fault, this.count);
      return;
    }
    if (!this.#isMarked(chunk, start, end)) return;
    this.#batch.push(chunk.toString('utf8', start, end));
    this.#batchRows.push(this.count);
    this.#batchBytes += end - start;
    if (this.#batchBytes > BATCH) this.#parse(this.#layout);
  }

  /** @throws SnapError `USAGE` if the file has no header. */
  finish(): void {
    if (this.#layout === null) throw notAReport(this.#name, 'it is empty');
    this.#parse(this.#layout);
  }

  #header(line: string): ColumnLayout {
    if (line.includes('\r')) throw notAReport(this.#name, RETURNS_ONLY);
    const [header = []] = Papa.parse<string[]>(line.replace(/^\uFEFF/, ''), OPTIONS).data;
    const layout = columnLayoutOf(header);
    if (layout === null) throw notAReport(this.#name, `its first row is ${JSON.stringify(line.slice(0, 60))}`);
    this.#sink.layout(layout);
    return layout;
  }

  /** Searches each chunk only once, from mark to mark. */
  #isMarked(chunk: Buffer, start: number, end: number): boolean {
    if (chunk !== this.#chunk) {
      this.#chunk = chunk;
      this.#mark = chunk.indexOf(MARK);
    }
    if (this.#mark >= 0 && this.#mark < start) this.#mark = chunk.indexOf(MARK, start);
    return this.#mark >= 0 && this.#mark < end;
  }

  #parse(layout: ColumnLayout): void {
    if (this.#batch.length === 0) return;
    const together = parsed(this.#batch.join('\n'), this.#batch.length, layout);
    this.#batch.forEach((text, at) => {
      const row = this.#batchRows[at] ?? 0;
      const fields = together === null ? parsed(text, 1, layout)?.[0] : together[at];
      if (fields) this.#sink.cells(cellsOf(fields, layout), row);
      else this.#sink.broken(OPEN_QUOTE, row);
    });
    this.#batch = [];
    this.#batchRows = [];
    this.#batchBytes = 0;
  }
}

const cellsOf =
  (fields: readonly string[], { places }: ColumnLayout) =>
  (column: ColumnName): Cell =>
    fields[places[column] ?? -1];

/** @returns `null` if the parser finds other rows or fields than the scan. */
function parsed(text: string, rows: number, { width }: ColumnLayout): string[][] | null {
  const { data, errors } = Papa.parse<string[]>(text, OPTIONS);
  const isSame = errors.length === 0 && data.length === rows && data.every(({ length }) => length === width);
  return isSame ? data : null;
}

const OPTIONS = { delimiter: ',', newline: '\n', header: false } as const;
