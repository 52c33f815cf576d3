/**
 * The blocks of a disk from its archive: the ranges of objects with the frames that are needed are fetched and decoded. Each
 * block is compared with its SHA-256. A frame with a block that differs is fetched once more, because it may have been
 * damaged in transit.
 */
import { createHash } from 'node:crypto';
import { HASH_BYTES } from '../archive/block-table.ts';
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import type { ArchiveStore, ObjectReader } from '../cloud/ports.ts';
import { asError, SnapError } from '../errors.ts';
import { BufferPool } from '../transfer/buffer-pool.ts';
import { fetchRange } from '../transfer/download.ts';
import { type BlockPlaces, type FrameObject, positionOf } from './block-places.ts';
import type { BlockSource, FetchedBlock } from './block-source.ts';
import { FrameDecoder } from './frame-decoder.ts';

export interface ArchiveSourceOptions {
  places: BlockPlaces;
  /** Size of the disk in bytes. */
  bytes: number;
  store: Pick<ArchiveStore, 'bucket' | 'reader'>;
  /** Maximum number of frames in flight. */
  inFlight: number;
  signal: AbortSignal;
  /** Called with the number of stored bytes that were fetched. */
  onFetched: (bytes: number) => void;
  /** Called when a frame of an object is fetched once more. */
  onReread: (key: string) => void;
}

interface OpenObject extends FrameObject {
  reader: ObjectReader;
}

export class ArchiveSource implements BlockSource {
  readonly #options: ArchiveSourceOptions;
  readonly #objects: readonly OpenObject[];
  /** It limits the frames in flight, and therefore the memory. */
  readonly #pool: BufferPool;
  readonly #decoder = new FrameDecoder();

  constructor(options: ArchiveSourceOptions) {
    const { places, store, inFlight } = options;
    this.#options = options;
    this.#objects = places.objects.map((object) => ({ ...object, reader: store.reader(object.key, object.etag) }));
    this.#pool = new BufferPool(inFlight);
  }

  groupOf(index: number): number | null {
    const { indexes, frameOf } = this.#options.places;
    return frameOf[positionOf(indexes, index)] ?? null;
  }

  /** @throws the errors of a download. */
  async fetch(frame: number): Promise<readonly FetchedBlock[]> {
    const object = this.#objects[this.#options.places.frames.object[frame] ?? 0];
    if (!object) throw new SnapError('BUG', `frame ${frame} belongs to no object`);
    const found = await this.#read(frame, object);
    if (!found.some(({ content }) => content instanceof Error)) return found;
    this.#options.onReread(object.key);
    return this.#read(frame, object);
  }

  async #read(frame: number, object: OpenObject): Promise<FetchedBlock[]> {
    const { places, bytes, store, signal, onFetched } = this.#options;
    const { from, to, first, blocks } = places.frames;
    const [start, end, block] = [from[frame] ?? 0, to[frame] ?? 0, first[frame] ?? 0];
    const length = Math.min((blocks[frame] ?? 0) * BLOCK_BYTES, bytes - block * BLOCK_BYTES);
    const buffer = await this.#pool.take(end - start, signal);
    try {
      const stored = await fetchRange({ object: object.reader, bucket: store.bucket }, buffer, start, signal);
      onFetched(stored.length);
      const plain = await this.#decoder.decode(stored, object, length).catch(asError);
      return this.#verify(frame, plain, object);
    } finally {
      this.#pool.release(buffer);
    }
  }

  /** @param plain the decoded frame, or why it cannot be decoded. */
  #verify(frame: number, plain: Buffer | Error, { key }: OpenObject): FetchedBlock[] {
    const { indexes, hashes, frameOf, frames } = this.#options.places;
    const first = frames.first[frame] ?? 0;
    const found: FetchedBlock[] = [];
    for (let at = startOf(indexes, first); frameOf[at] === frame; at++) {
      const index = indexes[at] ?? 0;
      const from = (index - first) * BLOCK_BYTES;
      const content = plain instanceof Error ? plain : plain.subarray(from, from + BLOCK_BYTES);
      const isRight =
        content instanceof Uint8Array &&
        createHash('sha256')
          .update(content)
          .digest()
          .equals(hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
      found.push({ index, content: isRight ? content : damaged(key, index, content) });
    }
    return found;
  }
}

/** @returns the position of the first block of data that is not before `index`. */
function startOf(indexes: Uint32Array, index: number): number {
  let at = index;
  while (positionOf(indexes, at) < 0) at++;
  return positionOf(indexes, at);
}

function damaged(key: string, index: number, content: Uint8Array | Error): SnapError {
  const why = content instanceof Error ? `cannot be decoded: ${content.message}` : 'does not have its recorded SHA-256';
  return new SnapError('DIFFERS', `${key}: block ${index} of the disk ${why}`, {
    hint: 'the archive is damaged, or was manipulated: look for another copy, or another version of the object in the bucket; files that do not need this block can still be restored',
  });
}
