/** Reads the index of an image into a table of the expected content of each block. */
import { createHash } from 'node:crypto';
import { type ZstdOptions, zstdDecompress } from 'node:zlib';
import { SnapError } from '../errors.ts';
import { sleep } from '../lib/clock.ts';
import { MiB } from '../lib/units.ts';
import { INDEX_FORMAT } from './block-index.ts';
import { damagedIndex, type Place } from './file-index.ts';

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
 * Reads an index. It is untrusted input and may be 1 GiB long, so the parser yields regularly to other tasks, such as
 * the renewal of claims.
 * @param body the decrypted index.
 * @throws SnapError `DIFFERS`, or the reason of the signal.
 */
export async function readImageIndex(body: Uint8Array, key: string, signal: AbortSignal): Promise<ImageIndex> {
  try {
    return await parse(await decompressFrames(body, signal), body.length, signal);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SnapError) throw cause;
    throw damagedIndex(key, 'it is not an index of an image', cause);
  }
}

/** Decompresses all frames, because `zstdDecompress` stops after the first one. */
async function decompressFrames(body: Uint8Array, signal: AbortSignal): Promise<Buffer> {
  const plain: Buffer[] = [];
  let room = MAX_BYTES;
  for (let rest = body; rest.length > 0 || plain.length === 0; ) {
    const { buffer, engine } = await decompressFrame(rest, room);
    signal.throwIfAborted();
    plain.push(buffer);
    room -= buffer.length;
    rest = rest.subarray(engine.bytesWritten);
  }
  const [only = Buffer.alloc(0), ...others] = plain;
  return others.length === 0 ? only : Buffer.concat(plain);
}

/** Decompresses in a thread of the pool. @param maximum bytes of the result */
function decompressFrame(bytes: Uint8Array, maximum: number): Promise<Decoded> {
  const options: ZstdOptions = { maxOutputLength: maximum, info: true, chunkSize: MiB };
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, options, (error, decoded) => {
      if (error) reject(error);
      else resolve(decoded as unknown as Decoded);
    });
  });
}

/**
 * The result with the option `info`, which the types of Node lack. `bytesWritten` counts the input of the decompressor.
 */
interface Decoded {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

/** Whether the index has the expected content of every block. */
export const isEachBlockKnown = ({ kinds }: BlockTable): boolean => !kinds.includes(BLOCK_KIND.unknown);

const isPlace = ({ plain, stored }: Place, before: Place | undefined): boolean =>
  Number.isSafeInteger(plain) &&
  Number.isSafeInteger(stored) &&
  plain > (before?.plain ?? -1) &&
  stored > (before?.stored ?? -1);

/** Lines to parse before yielding to other tasks. */
const LINES_PER_TURN = 4096;

async function parse(text: Buffer, storedBytes: number, signal: AbortSignal): Promise<ImageIndex> {
  const lines = linesOf(text);
  const table = emptyTable(JSON.parse(lines.next().value ?? '{}') as Line);
  const pieces = new PieceList();
  let next = 0;
  let count = 0;
  for (const line of lines) {
    if (++count % LINES_PER_TURN === 0) await sleep(0, signal);
    const { blocks, is = '', sha256, piece } = JSON.parse(line) as Line;
    if (piece) pieces.add(piece);
    if (!blocks) continue;
    const [from, to] = blocks;
    if (from !== next || !(to > from) || to > table.kinds.length) throw new Error('blocks out of order');
    next = to;
    table.kinds.fill(kindOf(is, sha256, to - from), from, to);
    if (sha256 !== undefined) table.hashes.set(hashOf(sha256), from * HASH_BYTES);
  }
  if (next !== table.kinds.length) throw new Error('blocks are missing');
  return { table, pieces: pieces.all(), storedBytes };
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

/** Creates a table without any knowledge. @param bytes size of the disk */
export function newTable(bytes: number, blockBytes: number): BlockTable {
  const count = Math.ceil(bytes / blockBytes);
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_BLOCKS) throw new Error('an invalid size');
  return { bytes, kinds: shared(count), hashes: shared(count * HASH_BYTES), blockBytes };
}

/** Shared memory, so that threads do not copy it. */
const shared = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length));

function* linesOf(text: Buffer): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if (end < 0) throw new Error('the last line is truncated');
    yield text.toString('utf8', start, end);
    start = end + 1;
  }
}

function kindOf(is: string, sha256: string | undefined, count: number): number {
  if (is === 'absent' || is === 'zero') return BLOCK_KIND.zero;
  if (is === 'data' && sha256 !== undefined && count === 1) return BLOCK_KIND.data;
  if (sha256 === undefined && (is === 'data' || is === 'stored')) return BLOCK_KIND.unknown;
  throw new Error('an invalid line');
}

function hashOf(sha256: string): Buffer {
  const hash = Buffer.from(sha256, 'base64');
  if (hash.length !== HASH_BYTES) throw new Error('an invalid hash');
  return hash;
}
