/**
 * The list of the blocks that a generation stores: the pack and the place of each block, and its SHA-256. A pack is a
 * sequence of frames with one block each, in ascending order of the blocks, so that every block can be decoded by itself.
 */
import { sleep } from '../../lib/clock.ts';
import { blockCount, HASH_BYTES, hashOf } from '../block-table.ts';
import { CODECS, type CodecName } from '../codec.ts';
import { JsonLinesWriter } from '../json-lines.ts';
import { type Cipher, parseGenerationKey } from '../key.ts';
import { type DocumentHeader, type FetchedDocument, type LineReader, readPointDocument } from './point-document.ts';
import { POINT_FORMAT } from './point-manifest.ts';

/** A pack, as the store reported it. */
export interface StoredPack {
  key: string;
  /** Length of the object in bytes. */
  bytes: number;
  etag: string;
  /** CRC-32 of the object in Base64; `null` if the store does not report it. */
  crc32: string | null;
  codec: CodecName;
  cipher: Cipher;
  /** The blocks of the pack by their positions in the list: from `first` up to but not including `end`. */
  first: number;
  end: number;
}

export interface BlockList {
  snapshot: string;
  /** Size of the disk in bytes. The last block may be shorter than `blockBytes`. */
  bytes: number;
  blockBytes: number;
  packs: readonly StoredPack[];
  /** The stored blocks, in ascending order. */
  indexes: Uint32Array;
  /** Their SHA-256, `HASH_BYTES` each. */
  hashes: Uint8Array;
  /** The bytes of their packs at which their frames begin; 0 in packs that are encrypted. */
  places: Float64Array;
}

/** Maximum number of blocks in a list, 4 TiB of data. Lists are held in memory. */
export const MAX_LISTED_BLOCKS = 8 * 2 ** 20;

/** @returns the list as it is stored, before encryption. */
export async function encodeBlockList(list: BlockList): Promise<Buffer> {
  const { snapshot, bytes, blockBytes, packs, indexes, hashes, places } = list;
  const lines = new JsonLinesWriter();
  lines.add({ format: POINT_FORMAT, layout: 'blocks', snapshot, bytes, blockBytes });
  for (const { first, end, ...pack } of packs) {
    lines.add({ pack: { ...pack, blocks: end - first } });
    // A pack has few blocks, after which other tasks, such as the renewal of claims, get their turn.
    await sleep(0);
    for (let at = first; at < end; at++) {
      const sha256 = Buffer.from(hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)).toString('base64');
      lines.add({ block: indexes[at], ...(pack.cipher === 'none' ? { at: places[at] } : {}), sha256 });
    }
  }
  lines.add({ end: { packs: packs.length, blocks: indexes.length } });
  return lines.finish();
}

interface Line extends DocumentHeader {
  pack?: Omit<StoredPack, 'first' | 'end'> & { blocks: number };
  block?: number;
  at?: number;
  sha256?: string;
  end?: { packs: number; blocks: number };
}

/** @throws SnapError `DIFFERS`; the reason of the signal. */
export const decodeBlockList = (document: FetchedDocument, signal: AbortSignal): Promise<BlockList> =>
  readPointDocument(document, 'blocks', signal, (header: Line) => new ListReader(header));

class ListReader implements LineReader<Line, BlockList> {
  readonly #disk: Pick<BlockList, 'snapshot' | 'bytes' | 'blockBytes'>;
  readonly #blocks: number;
  readonly #packs: StoredPack[] = [];
  #room = 1024;
  #hashes = new Uint8Array(this.#room * HASH_BYTES);
  #indexes = new Uint32Array(this.#room);
  #places = new Float64Array(this.#room);
  /** Number of blocks so far. */
  #count = 0;
  #isEnded = false;

  constructor({ snapshot = '', bytes = 0, blockBytes = 0 }: Line) {
    this.#disk = { snapshot, bytes, blockBytes };
    this.#blocks = blockCount(bytes, blockBytes);
  }

  take({ format, pack, block, at, sha256, end }: Line): void {
    if (this.#isEnded || format !== undefined) throw new Error('a line at the wrong place');
    if (pack) this.#addPack(pack);
    if (block !== undefined) this.#addBlock(block, at, sha256 ?? '');
    if (end) this.#end(end);
  }

  finish(): BlockList {
    if (!this.#isEnded) throw new Error('the end is missing');
    this.#resize(this.#count);
    const [indexes, hashes, places] = [this.#indexes, this.#hashes, this.#places];
    return { ...this.#disk, packs: this.#packs, indexes, hashes, places };
  }

  #addPack({ blocks, ...pack }: NonNullable<Line['pack']>): void {
    this.#assertPackIsFull();
    const first = this.#count;
    const isOwn = parseGenerationKey(pack.key)?.snapshotId === this.#disk.snapshot;
    const isKnown = Object.hasOwn(CODECS, pack.codec) && (pack.cipher === 'none' || pack.cipher === 'gpg');
    if (!isOwn || !isKnown || !isCount(pack.bytes) || !isCount(blocks) || blocks === 0)
      throw new Error('an invalid pack');
    this.#packs.push({ ...pack, first, end: first + blocks });
  }

  #addBlock(block: number, at: number | undefined, sha256: string): void {
    const pack = this.#packs.at(-1);
    const before = this.#count === 0 ? -1 : (this.#indexes[this.#count - 1] ?? 0);
    if (!pack || this.#count === pack.end) throw new Error('a block without a pack');
    if (this.#count === MAX_LISTED_BLOCKS) throw new Error('too many blocks');
    if (!Number.isInteger(block) || block <= before || block >= this.#blocks) throw new Error('blocks out of order');
    const start = this.#count === pack.first ? -1 : (this.#places[this.#count - 1] ?? 0);
    const place = pack.cipher === 'gpg' ? 0 : (at ?? -1);
    if (pack.cipher === 'none' && !(isCount(place) && place > start && place < pack.bytes))
      throw new Error('an invalid place');
    if (this.#count === this.#room) this.#resize(2 * this.#room);
    this.#indexes[this.#count] = block;
    this.#places[this.#count] = place;
    this.#hashes.set(hashOf(sha256), this.#count * HASH_BYTES);
    this.#count++;
  }

  /** Moves the memory instead of copying it where the system can. */
  #resize(room: number): void {
    this.#room = room;
    this.#indexes = new Uint32Array(this.#indexes.buffer.transfer(room * Uint32Array.BYTES_PER_ELEMENT));
    this.#places = new Float64Array(this.#places.buffer.transfer(room * Float64Array.BYTES_PER_ELEMENT));
    this.#hashes = new Uint8Array(this.#hashes.buffer.transfer(room * HASH_BYTES));
  }

  #end({ packs, blocks }: { packs: number; blocks: number }): void {
    this.#assertPackIsFull();
    if (packs !== this.#packs.length || blocks !== this.#count) throw new Error('the totals do not match');
    this.#isEnded = true;
  }

  #assertPackIsFull(): void {
    if ((this.#packs.at(-1)?.end ?? 0) !== this.#count) throw new Error('blocks are missing');
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
