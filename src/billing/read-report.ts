/** Reads one file of a report, in any supported format, into the ledger. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReportFormat, SnapshotCharges } from '../costs/analysis.ts';
import { SnapError } from '../errors.ts';
import { temporaryDirectory } from '../lib/temporary-files.ts';
import type { CellOf } from './cell.ts';
import { Charges } from './charges.ts';
import type { ColumnLayout } from './columns.ts';
import { readCsv } from './csv-rows.ts';
import { HOUR } from './days.ts';
import type { Ledger, Taken } from './ledger.ts';
import { readParquet } from './parquet-rows.ts';
import type { ReportPart } from './report-part.ts';
import { notAReport, type RowSink } from './row-sink.ts';
import { type FileKind, type ReportSource, sniff } from './source.ts';
import { gunzipped } from './unpack.ts';
import { type Reading, readRow } from './usage.ts';
import { unzipped } from './zip.ts';

export interface ReportFacts extends Taken {
  name: string;
  format: ReportFormat;
  granularity: 'hourly' | 'daily' | 'monthly';
  rows: number;
  ofSnapshots: number;
  /** Number of malformed rows. */
  broken: number;
  /** Number of rows that may be about the storage of EBS snapshots but cannot be classified. */
  unclear: number;
  /** The first rows that are malformed or cannot be classified, e.g. `row 17: 12 fields instead of 13`. */
  examples: string[];
  charges: SnapshotCharges[];
  hasResources: boolean;
  hasCosts: boolean;
}

export interface ReadOptions {
  signal: AbortSignal;
  /** Is called with the number of bytes read, as stored. */
  onBytes: (count: number) => void;
}

/**
 * The rows count in the ledger only after the whole file was read.
 * @throws SnapError `USAGE` if the file is not a cost report; `REPORT` if it is truncated, damaged, or unpacks to far more
 *   than reports do; the errors of the source.
 */
export async function readReport(source: ReportSource, ledger: Ledger, options: ReadOptions): Promise<ReportFacts> {
  const part = ledger.part(source.name);
  const tally = new Tally(part);
  const { kind, all } = await sniff(counted(source, options));
  if (kind === 'zip' || kind === 'parquet') await readFromDisk(source, kind, all, tally, options.signal);
  else await readCsv(kind === 'gzip' ? gunzipped(all, source.name, options.signal) : all, source.name, tally);
  return { ...tally.facts(), ...ledger.take(part) };
}

async function* counted(source: ReportSource, { signal, onBytes }: ReadOptions): AsyncGenerator<Uint8Array> {
  for await (const chunk of source.open(signal)) {
    signal.throwIfAborted();
    onBytes(chunk.length);
    yield chunk;
  }
}

/** Zip and Parquet files are read from their end, so streams are written to a temporary file first. */
async function readFromDisk(
  source: ReportSource,
  kind: FileKind,
  all: AsyncGenerator<Uint8Array>,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  if (source.path !== null) {
    await all.return(undefined);
    return readPath(source.path, source.name, kind, tally, signal);
  }
  await using directory = temporaryDirectory();
  const path = join(directory.path, 'report');
  await pipeline(Readable.from(all, { objectMode: false }), createWriteStream(path, { mode: 0o600 }), { signal });
  // Awaited here, because the directory is removed when this function ends.
  await readPath(path, source.name, kind, tally, signal);
}

async function readPath(path: string, name: string, kind: FileKind, tally: Tally, signal: AbortSignal): Promise<void> {
  if (kind === 'parquet') return readParquet(path, name, tally, signal);
  let files = 0;
  for await (const file of unzipped(path, name)) {
    files++;
    const inside = await sniff(file.chunks);
    await readCsv(inside.kind === 'gzip' ? gunzipped(inside.all, file.name, signal) : inside.all, file.name, tally);
  }
  if (files === 0) throw notAReport(name, 'it is an empty zip file');
}

const SHOWN = 5;

/** Counts rows, and passes on the ones about snapshots. */
class Tally implements RowSink {
  readonly #part: ReportPart;
  /** The first layout; a zip file may contain several. */
  #first: ColumnLayout | null = null;
  #layout: ColumnLayout | null = null;
  #hasResources = true;
  #hasCosts = true;
  #rows = 0;
  #broken = 0;
  #unclear = 0;
  #longest = 0;
  readonly #charges = new Charges();
  readonly #examples: string[] = [];

  constructor(part: ReportPart) {
    this.#part = part;
  }

  layout(layout: ColumnLayout): void {
    this.#first ??= layout;
    this.#layout = layout;
    const { resource, cost, netCost, rate, netRate } = layout.places;
    this.#hasResources &&= resource !== undefined;
    this.#hasCosts &&= [cost, netCost, rate, netRate].some((place) => place !== undefined);
  }

  row(): void {
    this.#rows++;
  }

  broken(reason: string, rowNumber: number): void {
    this.#broken++;
    this.#example(reason, rowNumber);
  }

  #example(reason: string, rowNumber: number): void {
    if (this.#examples.length < SHOWN) this.#examples.push(`row ${rowNumber}: ${reason}`);
  }

  cells(cell: CellOf, rowNumber: number): void {
    if (this.#layout === null) return;
    const reading = readRow(cell, this.#layout);
    if (reading === null) return;
    this.#charges.add(reading);
    this.#take(reading, rowNumber);
  }

  #take(reading: Reading, rowNumber: number): void {
    if (reading.is === 'broken') this.broken(reading.why, rowNumber);
    if (reading.is === 'unclear') {
      this.#unclear++;
      this.#example(reading.why, rowNumber);
    }
    if (reading.is !== 'storage') return;
    const { usage } = reading;
    this.#longest = Math.max(this.#longest, usage.end - usage.start);
    this.#part.add(usage);
  }

  facts(): Omit<ReportFacts, keyof Taken> {
    const { name, rows: ofSnapshots } = this.#part;
    const { format } = this.#first ?? unreachable(name);
    return {
      name,
      format,
      granularity: this.#granularity(),
      rows: this.#rows,
      ofSnapshots,
      broken: this.#broken,
      unclear: this.#unclear,
      examples: this.#examples,
      charges: this.#charges.result(),
      hasResources: this.#hasResources,
      hasCosts: this.#hasCosts,
    };
  }

  /** The longest row of a snapshot decides, because the charge for a day may be in one hour. */
  #granularity(): ReportFacts['granularity'] {
    if (this.#longest > 25 * HOUR) return 'monthly';
    return this.#longest > HOUR ? 'daily' : 'hourly';
  }
}

function unreachable(name: string): never {
  throw new SnapError('BUG', `${name} was read without a header`);
}
