/** What an index says of members, as records in a file: one for each member, in the order in which they come. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { writeWhole } from '../lib/write-whole.ts';

const RECORD_BYTES = 32;
const RECORDS_AT_ONCE = 4096;

/** @param sha256 of the data of a file, in base 16; `null` for what has none. */
const recordOf = (path: Buffer, sha256: string | null): Buffer =>
  createHash('sha256')
    .update(path)
    .update(`\0${sha256 ?? ''}`)
    .digest();

export class MemberRecordsWriter implements Disposable {
  readonly #descriptor: number;
  #records: Buffer[] = [];

  constructor(file: string) {
    this.#descriptor = openSync(file, 'w', 0o600);
  }

  add(path: Buffer, sha256: string | null): void {
    this.#records.push(recordOf(path, sha256));
    if (this.#records.length === RECORDS_AT_ONCE) this.finish();
  }

  finish(): void {
    const bytes = Buffer.concat(this.#records);
    writeWhole(this.#descriptor, bytes);
    this.#records = [];
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

export class MemberRecordsReader implements Disposable {
  readonly #descriptor: number;
  readonly #buffer = Buffer.alloc(RECORDS_AT_ONCE * RECORD_BYTES);
  #records: Buffer = this.#buffer.subarray(0, 0);

  constructor(file: string) {
    this.#descriptor = openSync(file, 'r');
  }

  /** @returns whether the next record is of this very member with this very content. */
  matchesNext(path: Buffer, sha256: string | null): boolean {
    if (this.#records.length === 0) this.#records = this.#buffer.subarray(0, readSync(this.#descriptor, this.#buffer));
    const record = this.#records.subarray(0, RECORD_BYTES);
    this.#records = this.#records.subarray(RECORD_BYTES);
    return record.equals(recordOf(path, sha256));
  }

  /** Whether there are no more. */
  get isAtEnd(): boolean {
    if (this.#records.length === 0) this.#records = this.#buffer.subarray(0, readSync(this.#descriptor, this.#buffer));
    return this.#records.length === 0;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
