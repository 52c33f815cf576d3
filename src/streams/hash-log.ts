/**
 * Two large sets, compared in little memory.
 *
 * Each side adds up keyed hashes of its entries: equal sums mean equal sets, whatever the order. Only where the sums
 * differ is it asked which entries do, with the help of a file that holds a fixed record for each entry of one side.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { writeWhole } from '../lib/bytes/write-whole.ts';
import { KEPT } from './difference.ts';

const HASH = 16;
const RECORD = 2 * HASH;
const BATCH = 2048;
const MASK = (1n << 128n) - 1n;

/** Entries that are held in memory at once when the sets are told apart. */
const ENTRIES_IN_MEMORY = 400_000;

/** 16 bytes that nobody can choose: the key is random in each run. */
export function keyedHash(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256').update(key);
  for (const part of parts) hash.update(String(part.length)).update(':').update(part);
  return hash.digest().subarray(0, HASH);
}

export class HashSum {
  #sum = 0n;
  count = 0;

  add(hash: Buffer): void {
    this.#sum = (this.#sum + (hash.readBigUInt64LE(0) | (hash.readBigUInt64LE(8) << 64n))) & MASK;
    this.count++;
  }

  /** Equal for equal sets only. */
  toString(): string {
    return `${this.count}:${this.#sum.toString(16)}`;
  }
}

/** Appends records of what an entry is called and what is known of it. */
export class HashLog implements Disposable {
  readonly #descriptor: number;
  readonly #batch = Buffer.alloc(BATCH * RECORD);
  #filled = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'wx', 0o600);
  }

  add(name: Buffer, fact: Buffer): void {
    name.copy(this.#batch, this.#filled);
    fact.copy(this.#batch, this.#filled + HASH);
    this.#filled += RECORD;
    if (this.#filled === this.#batch.length) this.#flush();
  }

  [Symbol.dispose](): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    writeWhole(this.#descriptor, this.#batch.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

export const NO_FACT = Buffer.alloc(HASH);

/** The same in base 16. */
export const ABSENT = NO_FACT.toString('hex');

/** The facts of each name, in base 16, for names whose hash falls into one of several buckets. */
export type LoggedFacts = Map<string, string[]>;

/** Bucket by bucket, so that each fits into memory. */
export function* readBuckets(file: string): Generator<{ isMine: (name: Buffer) => boolean; facts: LoggedFacts }> {
  const buckets = Math.max(1, Math.ceil(statSync(file).size / RECORD / ENTRIES_IN_MEMORY));
  for (let bucket = 0; bucket < buckets; bucket++) {
    const isMine = (name: Buffer): boolean => name.readUInt32LE(0) % buckets === bucket;
    yield { isMine, facts: readFacts(file, isMine) };
  }
}

function readFacts(file: string, isMine: (name: Buffer) => boolean): LoggedFacts {
  const facts: LoggedFacts = new Map();
  const batch = Buffer.alloc(BATCH * RECORD);
  const descriptor = openSync(file, 'r');
  try {
    for (let length = readSync(descriptor, batch); length > 0; length = readSync(descriptor, batch)) {
      for (let at = 0; at < length; at += RECORD) {
        const name = batch.subarray(at, at + HASH);
        if (!isMine(name)) continue;
        const key = name.toString('hex');
        const fact = batch.subarray(at + HASH, at + RECORD);
        const text = fact.equals(NO_FACT) ? ABSENT : fact.toString('hex');
        const known = facts.get(key);
        if (known) known.push(text);
        else facts.set(key, [text]);
      }
    }
  } finally {
    closeSync(descriptor);
  }
  return facts;
}

/** Names that are known by their hashes, as many as are told; further ones are counted. */
export class SomeNames {
  readonly #hashes = new Set<string>();
  /** Those that are not told. */
  unnamed = 0;

  /** @param name its hash in base 16; each is to be added once. */
  add(name: string): void {
    if (this.#hashes.size < KEPT) this.#hashes.add(name);
    else this.unnamed++;
  }

  get count(): number {
    return this.#hashes.size;
  }

  /** @param name its hash. */
  has(name: Buffer): boolean {
    return this.#hashes.has(name.toString('hex'));
  }
}
