/**
 * Rows of CSV, found without taking them apart: most rows of a report are of no interest, and taking all of them apart
 * takes ten times as long. Quoted fields may hold commas and line ends; a quote is one only where a field begins.
 * Source: RFC 4180.
 */
import { MiB } from '../lib/units.ts';

const QUOTE = 34;
const COMMA = 44;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Bytes. No row of a report comes near it; a quote that is never closed does. */
const LONGEST_ROW = 4 * MiB;

/** Told of each row: where it is in a chunk, which must not be kept, and how many fields it has. */
export type OnRow = (chunk: Buffer, start: number, end: number, fields: number) => void;

export class CsvScan {
  readonly #onRow: OnRow;
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes of the row that has not ended yet. */
  #filled = 0;
  /** Of the row whose end was found last. */
  #fields = 0;

  constructor(onRow: OnRow) {
    this.#onRow = onRow;
  }

  /** @returns `false` when a row is longer than rows are. */
  add(bytes: Uint8Array): boolean {
    const chunk = this.#append(bytes);
    const done = this.#scan(chunk);
    this.#buffer.copyWithin(0, done, chunk.length);
    this.#filled = chunk.length - done;
    return this.#filled <= LONGEST_ROW;
  }

  /** The last row may lack its line end. @returns `false` when the file ends inside quotes. */
  end(): boolean {
    if (this.#filled === 0) return true;
    const last = this.#append(Buffer.from('\n'));
    return this.#scan(last) === last.length;
  }

  /** One buffer for all: what is made anew for each chunk keeps the garbage collector busy. */
  #append(bytes: Uint8Array): Buffer {
    const length = this.#filled + bytes.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * length);
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#filled);
    return this.#buffer.subarray(0, length);
  }

  /** @returns where the row begins that the chunk does not end. */
  #scan(chunk: Buffer): number {
    let start = 0;
    for (let at = this.#rowEnd(chunk, 0); at >= 0; at = this.#rowEnd(chunk, start)) {
      const end = chunk[at - 1] === CARRIAGE_RETURN ? at - 1 : at;
      if (end > start) this.#onRow(chunk, start, end, this.#fields);
      start = at + 1;
    }
    return start;
  }

  /** @returns -1 where the chunk ends before the row does. */
  #rowEnd(chunk: Buffer, start: number): number {
    let fieldStart = start;
    let fields = 1;
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (byte > COMMA) continue;
      if (byte === COMMA) {
        fields++;
        fieldStart = at + 1;
      } else if (byte === LINE_FEED) {
        this.#fields = fields;
        return at;
      } else if (byte === QUOTE && at === fieldStart) {
        at = closingQuote(chunk, at + 1);
        if (at < 0) return -1;
      }
    }
    return -1;
  }
}

/** Two quotes are one that belongs to the field. */
function closingQuote(chunk: Buffer, from: number): number {
  let quote = chunk.indexOf(QUOTE, from);
  while (quote >= 0 && chunk[quote + 1] === QUOTE) quote = chunk.indexOf(QUOTE, quote + 2);
  return quote;
}
