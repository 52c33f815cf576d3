/** A report as CSV: rows that may concern snapshots are taken apart by Papa Parse, the others are only counted. */
import Papa from 'papaparse';
import { SnapError } from '../errors.ts';
import { KiB } from '../lib/units.ts';
import { type ColumnName, type Layout, layoutOf } from './columns.ts';
import { CsvScan } from './csv-scan.ts';
import { notAReport, type RowSink } from './row-sink.ts';
import type { Cell } from './usage.ts';

/** In all usage types, ARNs and descriptions of snapshots, with a large S or a small one. */
const MARK = 'napshot';

/** Rows taken apart together. */
const BATCH = 128 * KiB;

/** @throws SnapError `USAGE` for what is no report, `REPORT` for a row without an end. */
export async function readCsv(chunks: AsyncIterable<Uint8Array>, name: string, sink: RowSink): Promise<void> {
  const rows = new ReportRows(name, sink);
  const scan = new CsvScan((chunk, start, end, fields) => rows.add(chunk, start, end, fields));
  for await (const chunk of chunks) {
    if (!scan.add(chunk)) throw endless(name, rows.count);
  }
  if (!scan.end()) sink.broken('the file ends inside a quoted field', rows.count + 1);
  rows.finish();
}

const endless = (name: string, rows: number): SnapError =>
  rows === 0
    ? notAReport(name, 'it has no lines')
    : new SnapError('REPORT', `the row after row ${rows} of ${name} does not end: a quote may be missing`, {
        hint: 'fetch the report again; if it is the same, mend that row',
      });

class ReportRows {
  readonly #name: string;
  readonly #sink: RowSink;
  #layout: Layout | null = null;
  /** Rows so far, with the header. */
  count = 0;
  #chunk: Buffer | null = null;
  /** Where the next mark is in the chunk; -1 if there is none. */
  #mark = -1;
  #batch: string[] = [];
  #batchRows: number[] = [];
  #batchBytes = 0;

  constructor(name: string, sink: RowSink) {
    this.#name = name;
    this.#sink = sink;
  }

  add(chunk: Buffer, start: number, end: number, fields: number): void {
    this.count++;
    if (this.#layout === null) {
      this.#layout = this.#header(chunk.toString('utf8', start, end));
      return;
    }
    this.#sink.row();
    if (fields !== this.#layout.width) {
      this.#sink.broken(`${fields} fields instead of ${this.#layout.width}`, this.count);
      return;
    }
    if (!this.#isMarked(chunk, start, end)) return;
    this.#batch.push(chunk.toString('utf8', start, end));
    this.#batchRows.push(this.count);
    this.#batchBytes += end - start;
    if (this.#batchBytes > BATCH) this.#takeApart(this.#layout);
  }

  /** @throws SnapError `USAGE` where there was not even a header. */
  finish(): void {
    if (this.#layout === null) throw notAReport(this.#name, 'it is empty');
    this.#takeApart(this.#layout);
  }

  #header(line: string): Layout {
    const [header = []] = Papa.parse<string[]>(line.replace(/^\uFEFF/, ''), OPTIONS).data;
    const layout = layoutOf(header);
    if (layout === null) throw notAReport(this.#name, `its first row is ${JSON.stringify(line.slice(0, 60))}`);
    this.#sink.layout(layout);
    return layout;
  }

  /** One search goes over the whole chunk, from mark to mark. */
  #isMarked(chunk: Buffer, start: number, end: number): boolean {
    if (chunk !== this.#chunk) {
      this.#chunk = chunk;
      this.#mark = chunk.indexOf(MARK);
    }
    if (this.#mark >= 0 && this.#mark < start) this.#mark = chunk.indexOf(MARK, start);
    return this.#mark >= 0 && this.#mark < end;
  }

  #takeApart({ places }: Layout): void {
    if (this.#batch.length === 0) return;
    const { data } = Papa.parse<string[]>(this.#batch.join('\n'), OPTIONS);
    data.forEach((fields, at) => {
      const cell = (column: ColumnName): Cell => fields[places[column] ?? -1];
      this.#sink.cells(cell, this.#batchRows[at] ?? 0);
    });
    this.#batch = [];
    this.#batchRows = [];
    this.#batchBytes = 0;
  }
}

const OPTIONS = { delimiter: ',', newline: '\n', header: false } as const;
