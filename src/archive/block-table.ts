/** Reads the index of an image into a table of the expected content of each block. */
import { createHash } from 'node:crypto';
import { SnapError } from '../errors.ts';
import { INDEX_FORMAT } from './block-index.ts';
import { damagedIndex, type Place } from './file-index.ts';
import { readJsonLines } from './json-lines.ts';

/** The expected content of a block: unknown, zeros, or data with a hash. */
export const BLOCK_KIND = { unknown: 0, zero: 1, data: 2 } as const;

export interface BlockTable {
  /** Length of the image. The last block may be shorter. */
  bytes: number;
  blockBytes: number;
  /** A `BLOCK_KIND` per block. */
  kinds: Uint8Array;
  /** SHA-256 of the blocks of data. It has `HASH_BYTES` for every block, including those without a hash. */
  hashes: Uint8Array;
}

/** The blocks of the largest possible volume, 64 TiB. */
const MAX_BLOCKS = 128 * 2 ** 20;

/** Pieces of 4 MiB for as many blocks as have checksums. For longer images, pieces are of no use. */
const MAX_PIECES = 2 ** 20 + 1;

/** Maximum length of a decompressed index: 100 bytes per block with a checksum. */
const MAX_BYTES = 2 ** 30;

export const HASH_BYTES = 32;

/** Returns the hash of a block of data. */
export const hashAt = ({ hashes }: BlockTable, index: number): Uint8Array =>
  hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);

/**
 * Whether a block has the expected content.
 * @param zeros a buffer of zeros with the length of a block.
 * @returns `false` also if the content is unknown.
 */
export function isBlock(bytes: Buffer, index: number, table: BlockTable, zeros: Buffer): boolean {
  const kind = table.kinds[index];
  if (kind === BLOCK_KIND.zero) return bytes.equals(zeros.subarray(0, bytes.length));
  return kind === BLOCK_KIND.data && createHash('sha256').update(bytes).digest().equals(hashAt(table, index));
}

interface Line {
  format?: number;
  bytes?: number;
  blockBytes?: number;
  blocks?: [number, number];
  is?: string;
  sha256?: string;
  piece?: Place;
}

export interface ImageIndex {
  table: BlockTable;
  /** The places where decoding can start, in ascending order; empty for encrypted objects. */
  pieces: Place[];
  /** Length of the index as stored. */
  storedBytes: number;
}

/**
 * Reads an index, which is untrusted input.
 * @param body the decrypted index.
 * @throws SnapError `DIFFERS`, or the reason of the signal.
 */
export async function readImageIndex(body: Uint8Array, key: string, signal: AbortSignal): Promise<ImageIndex> {
  try {
    const reader = new TableReader();
    await readJsonLines<Line>(body, MAX_BYTES, signal, (line) => reader.take(line));
    return { ...reader.finish(), storedBytes: body.length };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SnapError) throw cause;
    throw damagedIndex(key, 'it is not an index of an image', cause);
  }
}

/** Whether the index has the expected content of every block. */
export const isEachBlockKnown = ({ kinds }: BlockTable): boolean => !kinds.includes(BLOCK_KIND.unknown);

const isPlace = ({ plain, stored }: Place, before: Place | undefined): boolean =>
  Number.isSafeInteger(plain) &&
  Number.isSafeInteger(stored) &&
  plain > (before?.plain ?? -1) &&
  stored > (before?.stored ?? -1);

class TableReader {
  #table: BlockTable | null = null;
  readonly #pieces = new PieceList();
  #next = 0;

  take(line: Line): void {
    if (this.#table === null) this.#table = emptyTable(line);
    else this.#add(line, this.#table);
  }

  finish(): Pick<ImageIndex, 'table' | 'pieces'> {
    const table = this.#table ?? emptyTable({});
    if (this.#next !== table.kinds.length) throw new Error('blocks are missing');
    return { table, pieces: this.#pieces.all() };
  }

  #add({ blocks, is = '', sha256, piece }: Line, table: BlockTable): void {
    if (piece) this.#pieces.add(piece);
    if (!blocks) return;
    const [from, to] = blocks;
    if (from !== this.#next || !(to > from) || to > table.kinds.length) throw new Error('blocks out of order');
    this.#next = to;
    table.kinds.fill(kindOf(is, sha256, to - from), from, to);
    if (sha256 !== undefined) table.hashes.set(hashOf(sha256), from * HASH_BYTES);
  }
}

class PieceList {
  readonly #pieces: Place[] = [];
  #last: Place | undefined;

  add(piece: Place): void {
    if (!isPlace(piece, this.#last)) throw new Error('pieces out of order');
    this.#last = piece;
    if (this.#pieces.length <= MAX_PIECES) this.#pieces.push(piece);
  }

  all(): Place[] {
    return this.#pieces.length > MAX_PIECES ? [] : this.#pieces;
  }
}

function emptyTable({ format, bytes = 0, blockBytes = 0 }: Line): BlockTable {
  if (format !== INDEX_FORMAT) throw new Error(`format ${format}`);
  return newTable(bytes, blockBytes);
}

/** The number of blocks of a disk. @throws Error for a size that no volume has. */
export function blockCount(bytes: number, blockBytes: number): number {
  const count = Math.ceil(bytes / blockBytes);
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_BLOCKS) throw new Error('an invalid size');
  return count;
}

/** Creates a table without any knowledge. @param bytes size of the disk */
export function newTable(bytes: number, blockBytes: number): BlockTable {
  const count = blockCount(bytes, blockBytes);
  return { bytes, kinds: shared(count), hashes: shared(count * HASH_BYTES), blockBytes };
}

/** Shared memory, so that threads do not copy it. */
const shared = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length));

function kindOf(is: string, sha256: string | undefined, count: number): number {
  if (is === 'absent' || is === 'zero') return BLOCK_KIND.zero;
  if (is === 'data' && sha256 !== undefined && count === 1) return BLOCK_KIND.data;
  if (sha256 === undefined && (is === 'data' || is === 'stored')) return BLOCK_KIND.unknown;
  throw new Error('an invalid line');
}

/** @throws Error if it is not a SHA-256 in Base64. */
export function hashOf(sha256: string): Buffer {
  const hash = Buffer.from(sha256, 'base64');
  if (hash.length !== HASH_BYTES) throw new Error('an invalid hash');
  return hash;
}
