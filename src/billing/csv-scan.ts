/**
 * Finds the rows of CSV without parsing them: most rows of a report are irrelevant, and parsing all of them takes ten
 * times as long. Quoted fields may contain commas and line ends; a quote opens a field only at its start, and a closing
 * quote is followed by a comma or a line end. Source: RFC 4180.
 *
 * A row that breaks these rules, or has another number of fields than the first one, ends at its first line end, whether
 * that is quoted or not, so that an unclosed quote spoils only its own row. Quotes within an unquoted field, as in `5"`,
 * are accepted in a row of one line only: in a row of several lines, they are the rest of a row that was swallowed.
 */
import { MiB } from '../lib/units.ts';

const QUOTE = 34;
const COMMA = 44;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;

/** Maximum length of a row in bytes. Rows of reports are far shorter; only an unclosed quote reaches it. */
const LONGEST_ROW = 4 * MiB;

/**
 * Is called with the place of each row in a chunk. The chunk is reused, so it must not be kept.
 * @param fault why the row is malformed; `null` if it has as many fields as the first one.
 */
export type OnRow = (chunk: Buffer, start: number, end: number, fault: string | null) => void;

export const OPEN_QUOTE = 'a quoted field is not closed, or contains a quote that is not doubled';
const CUT_SHORT = 'the file ends inside a quoted field';

export class CsvScan {
  readonly #onRow: OnRow;
  #buffer: Buffer = Buffer.alloc(0);
  /** The start of the row that has not ended yet. */
  #filled = 0;
  /** Number of fields of the row whose end was found last. */
  #fields = 0;
  #isWell = true;
  #hasBareQuote = false;
  /** Number of fields in the first row. */
  #width = 0;

  constructor(onRow: OnRow) {
    this.#onRow = onRow;
  }

  /** @returns `false` if a row exceeds the maximum length. */
  add(bytes: Uint8Array): boolean {
    const chunk = this.#append(bytes);
    const done = this.#scan(chunk, null);
    this.#buffer.copyWithin(0, done, chunk.length);
    this.#filled = chunk.length - done;
    return this.#filled <= LONGEST_ROW;
  }

  /** Reports the last row, which may lack its line end. */
  end(): void {
    if (this.#filled > 0) this.#scan(this.#append(Buffer.from('\n')), CUT_SHORT);
  }

  /** Reuses one buffer: new buffers for each chunk keep the garbage collector busy. */
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

  /**
   * @param unended the fault of a row that does not end in this chunk; `null` if more chunks follow.
   * @returns the offset of the row that does not end in this chunk.
   */
  #scan(chunk: Buffer, unended: string | null): number {
    let start = 0;
    while (start < chunk.length) {
      const found = this.#rowEnd(chunk, start);
      if (found < 0 && unended === null && chunk.length - start <= LONGEST_ROW) return start;
      const fault = found < 0 ? (unended ?? OPEN_QUOTE) : this.#fault();
      const at = fault === null ? found : chunk.indexOf(LINE_FEED, start);
      if (at < 0) return start;
      const end = chunk[at - 1] === CARRIAGE_RETURN ? at - 1 : at;
      if (end > start) this.#onRow(chunk, start, end, fault);
      start = at + 1;
    }
    return start;
  }

  /** Returns what is wrong with the row whose end was found last; `null` if nothing is. */
  #fault(): string | null {
    if (!this.#isWell) return OPEN_QUOTE;
    if (this.#width === 0) this.#width = this.#fields;
    return this.#fields === this.#width ? null : `${this.#fields} fields instead of ${this.#width}`;
  }

  /** @returns -1 if the chunk ends before the row. */
  #rowEnd(chunk: Buffer, start: number): number {
    let fieldStart = start;
    let fields = 1;
    this.#isWell = true;
    this.#hasBareQuote = false;
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (byte > COMMA) continue;
      if (byte === COMMA) {
        fields++;
        fieldStart = at + 1;
      } else if (byte === LINE_FEED) {
        this.#fields = fields;
        this.#isWell &&= !this.#hasBareQuote || chunk.indexOf(LINE_FEED, start) === at;
        return at;
      } else if (byte === QUOTE) {
        at = this.#quoteEnd(chunk, at, fieldStart);
        if (at < 0) return -1;
      }
    }
    return -1;
  }

  /** @returns -1 if the chunk ends before the quoted field. */
  #quoteEnd(chunk: Buffer, quote: number, fieldStart: number): number {
    if (quote > fieldStart) {
      this.#hasBareQuote = true;
      return quote;
    }
    const at = closingQuote(chunk, quote + 1);
    if (at >= 0 && !endsField(chunk, at + 1)) this.#isWell = false;
    return at;
  }
}

/** Spaces may follow a closing quote. A row that does not end in the chunk is scanned again with the next one. */
function endsField(chunk: Buffer, from: number): boolean {
  let at = from;
  while (chunk[at] === SPACE) at++;
  const byte = chunk[at];
  if (byte === CARRIAGE_RETURN) return chunk[at + 1] === LINE_FEED;
  return byte === undefined || byte === COMMA || byte === LINE_FEED;
}

/** Two quotes stand for one quote in the field. */
function closingQuote(chunk: Buffer, from: number): number {
  let quote = chunk.indexOf(QUOTE, from);
  while (quote >= 0 && chunk[quote + 1] === QUOTE) quote = chunk.indexOf(QUOTE, quote + 2);
  return quote;
}
