/**
 * Compares two large sets with little memory.
 *
 * Both sides add up keyed hashes of their entries. Equal sums mean equal sets, independently of the order. Only if the
 * sums differ are the different entries determined, with a file that has a fixed-size record for each entry of one
 * side.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { writeWhole } from '../lib/bytes/write-whole.ts';
import { MAX_KEPT_DIFFERENCES } from './difference.ts';

const HASH_BYTES = 16;
const RECORD_BYTES = 2 * HASH_BYTES;
const BATCH = 2048;
const MASK = (1n << 128n) - 1n;

/** Maximum number of entries in memory while the differences are determined. */
const ENTRIES_IN_MEMORY = 400_000;

/** Returns 16 bytes. Nobody can construct a collision, because the key is random in each run. */
export function keyedHash(key: Buffer, ...parts: readonly Buffer[]): Buffer {
  const hash = createHash('sha256').update(key);
  for (const part of parts) hash.update(String(part.length)).update(':').update(part);
  return hash.digest().subarray(0, HASH_BYTES);
}

export class HashSum {
  #sum = 0n;
  count = 0;

  add(hash: Buffer): void {
    this.#sum = (this.#sum + (hash.readBigUInt64LE(0) | (hash.readBigUInt64LE(8) << 64n))) & MASK;
    this.count++;
  }

  /** Equal only for equal sets. */
  toString(): string {
    return `${this.count}:${this.#sum.toString(16)}`;
  }
}

/** Appends records with the hash of a name and the hash of a fact about it. */
export class HashLog implements Disposable {
  readonly #descriptor: number;
  readonly #batch = Buffer.alloc(BATCH * RECORD_BYTES);
  #filled = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'wx', 0o600);
  }

  add(name: Buffer, fact: Buffer): void {
    name.copy(this.#batch, this.#filled);
    fact.copy(this.#batch, this.#filled + HASH_BYTES);
    this.#filled += RECORD_BYTES;
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

export const NO_FACT = Buffer.alloc(HASH_BYTES);

/** The same in hexadecimal. */
export const ABSENT = NO_FACT.toString('hex');

/** The facts about each name, in hexadecimal, for the names in one bucket. */
export type LoggedFacts = Map<string, string[]>;

/** Reads the log in buckets that fit into memory. */
export function* readBuckets(file: string): Generator<{ isInBucket: (name: Buffer) => boolean; facts: LoggedFacts }> {
  const buckets = Math.max(1, Math.ceil(statSync(file).size / RECORD_BYTES / ENTRIES_IN_MEMORY));
  for (let bucket = 0; bucket < buckets; bucket++) {
    const isInBucket = (name: Buffer): boolean => name.readUInt32LE(0) % buckets === bucket;
    yield { isInBucket, facts: readFacts(file, isInBucket) };
  }
}

function readFacts(file: string, isInBucket: (name: Buffer) => boolean): LoggedFacts {
  const facts: LoggedFacts = new Map();
  const batch = Buffer.alloc(BATCH * RECORD_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    for (let length = readSync(descriptor, batch); length > 0; length = readSync(descriptor, batch)) {
      for (let at = 0; at < length; at += RECORD_BYTES) {
        const name = batch.subarray(at, at + HASH_BYTES);
        if (!isInBucket(name)) continue;
        const key = name.toString('hex');
        const fact = batch.subarray(at + HASH_BYTES, at + RECORD_BYTES);
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

/** Keeps the hashes of as many names as a comparison reports. Further names are only counted. */
export class SomeNames {
  readonly #hashes = new Set<string>();
  /** Number of names that were not kept. */
  unnamed = 0;

  /** @param name its hash in hexadecimal. Each name must be added only once. */
  add(name: string): void {
    if (this.#hashes.size < MAX_KEPT_DIFFERENCES) this.#hashes.add(name);
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
