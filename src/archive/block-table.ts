/** The index of an image, read back: what each block must be. */
import { createHash } from 'node:crypto';
import { type ZstdOptions, zstdDecompress } from 'node:zlib';
import { SnapError } from '../errors.ts';
import { sleep } from '../lib/clock.ts';
import { MiB } from '../lib/units.ts';
import { INDEX_FORMAT } from './block-index.ts';
import type { Place } from './file-index.ts';

/** What is known of a block: nothing, that it is zero, or its hash. */
export const BLOCK_KIND = { unknown: 0, zero: 1, data: 2 } as const;

export interface BlockTable {
  /** Length of the image: the last block may be short. */
  bytes: number;
  blockBytes: number;
  /** One of `BLOCK_KIND` for each block. */
  kinds: Uint8Array;
  /** SHA-256 of blocks of data; `HASH_BYTES` for each block, also where it has none. */
  hashes: Uint8Array;
}

/** Of the largest volume that there is, 64 TiB. */
const MAX_BLOCKS = 128 * 2 ** 20;

/** Of 4 MiB: as many as blocks of which checksums are kept; of a longer image, places are of no use. */
const MAX_PIECES = 2 ** 20 + 1;

/** 100 bytes for each block with a checksum. */
const MAX_BYTES = 2 ** 30;

export const HASH_BYTES = 32;

/** Of a block of data. */
export const hashAt = ({ hashes }: BlockTable, index: number): Uint8Array =>
  hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);

/** @param zeros of a block's length. @returns `false` also for a block of which nothing is known. */
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
  /** Where decoding may begin, in ascending order; none in encrypted objects. */
  pieces: Place[];
  /** Of the index, as it is stored. */
  storedBytes: number;
}

/**
 * An index is input from elsewhere. Others have their turn meanwhile, such as who renews a claim: it can be 1 GiB long.
 * @param body as stored, decrypted.
 * @throws SnapError `MANIFEST`; the signal's reason.
 */
export async function readImageIndex(body: Uint8Array, key: string, signal: AbortSignal): Promise<ImageIndex> {
  try {
    return await parse(await decompressFrames(body, signal), body.length, signal);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SnapError) throw cause;
    throw damaged(key, cause);
  }
}

/** All of them: the function itself ends with the first one. */
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

/** By threads of the system. @param most bytes that it may become. */
function decompressFrame(bytes: Uint8Array, most: number): Promise<Decoded> {
  const options: ZstdOptions = { maxOutputLength: most, info: true, chunkSize: MiB };
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, options, (error, decoded) => {
      if (error) reject(error);
      else resolve(decoded as unknown as Decoded);
    });
  });
}

/** What `info` asks for, and its types do not know. `bytesWritten`: into the decompressor. */
interface Decoded {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

/** Whether it says of each block what it must be. */
export const isEachBlockKnown = ({ kinds }: BlockTable): boolean => !kinds.includes(BLOCK_KIND.unknown);

const isPlace = ({ plain, stored }: Place, before: Place | undefined): boolean =>
  Number.isSafeInteger(plain) &&
  Number.isSafeInteger(stored) &&
  plain > (before?.plain ?? -1) &&
  stored > (before?.stored ?? -1);

const damaged = (key: string, cause?: unknown): SnapError =>
  new SnapError('MANIFEST', `${key}: this is no index`, {
    hint: 'somebody wrote over it; the data object may still be whole: validate it against its snapshot',
    cause,
  });

/** Lines after which others have their turn. */
const TURN = 4096;

async function parse(text: Buffer, storedBytes: number, signal: AbortSignal): Promise<ImageIndex> {
  const lines = linesOf(text);
  const table = emptyTable(JSON.parse(lines.next().value ?? '{}') as Line);
  const pieces = new PieceList();
  let next = 0;
  let count = 0;
  for (const line of lines) {
    if (++count % TURN === 0) await sleep(0, signal);
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

/** Of which nothing is known yet. @param bytes of the disk. */
export function newTable(bytes: number, blockBytes: number): BlockTable {
  const count = Math.ceil(bytes / blockBytes);
  if (!Number.isSafeInteger(count) || count < 1 || count > MAX_BLOCKS) throw new Error('an impossible size');
  return { bytes, kinds: shared(count), hashes: shared(count * HASH_BYTES), blockBytes };
}

/** Threads share it, whatever its size. */
const shared = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length));

function* linesOf(text: Buffer): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if (end < 0) throw new Error('the last line is cut short');
    yield text.toString('utf8', start, end);
    start = end + 1;
  }
}

function kindOf(is: string, sha256: string | undefined, count: number): number {
  if (is === 'absent' || is === 'zero') return BLOCK_KIND.zero;
  if (is === 'data' && sha256 !== undefined && count === 1) return BLOCK_KIND.data;
  if (sha256 === undefined && (is === 'data' || is === 'stored')) return BLOCK_KIND.unknown;
  throw new Error('a line that is none');
}

function hashOf(sha256: string): Buffer {
  const hash = Buffer.from(sha256, 'base64');
  if (hash.length !== HASH_BYTES) throw new Error('a hash that is none');
  return hash;
}
