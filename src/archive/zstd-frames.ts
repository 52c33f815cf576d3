/**
 * Decompresses a stream of zstd frames (RFC 8878), however long it is.
 *
 * The decompressor of Node ends with the first frame that ends within a chunk, and does not notice that the last frame is
 * truncated. The stream is therefore followed from block to block, without decoding it, and cut where frames end.
 */
import { pipeline, Readable } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { MiB } from '../lib/units.ts';

/** The stream is not what a compressor has written. */
export class DamagedFrames extends Error {}

/** @throws DamagedFrames, and what `stored` throws. */
export async function* decompressFrames(stored: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.from(cutAtFrames(stored), { objectMode: false });
  const decoder = pipeline(source, createZstdDecompress({ chunkSize: MiB }), () => {});
  try {
    yield* decoder;
  } catch (error) {
    throw isOfDecoder(error) ? new DamagedFrames(error.message, { cause: error }) : error;
  }
}

const isOfDecoder = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && /^Z(STD)?_/.test(String(error.code));

/** Yields the same bytes in chunks that end where frames end. @throws DamagedFrames if the last frame is truncated. */
async function* cutAtFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let frame: FrameWalk | null = null;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      frame ??= new FrameWalk();
      const length = frame.take(rest);
      yield rest.subarray(0, length);
      rest = rest.subarray(length);
      if (frame.isOver) frame = null;
    }
  }
  if (frame) throw new DamagedFrames('the last frame is truncated');
}

/** The fields of a frame in their order: the values of some are needed to find the others. */
interface Field {
  bytes: number;
  isNeeded: boolean;
}

const needed = (bytes: number): Field => ({ bytes, isNeeded: true });
const passed = (bytes: number): Field => ({ bytes, isNeeded: false });

const MAGIC = 0xfd2fb528;
/** The lowest four bits of this one may have any value. */
const SKIPPABLE_MAGIC = 0x184d2a50;

function* fieldsOfFrame(): Generator<Field, void, Buffer> {
  const magic = (yield needed(4)).readUInt32LE();
  if ((magic & ~0xf) === SKIPPABLE_MAGIC) {
    yield passed((yield needed(4)).readUInt32LE());
    return;
  }
  if (magic !== MAGIC) throw new DamagedFrames('there is something else than a frame');
  const descriptor = (yield needed(1)).readUInt8();
  yield passed(headerRest(descriptor));
  for (let isLast = false; !isLast; ) {
    const block = (yield needed(3)).readUIntLE(0, 3);
    isLast = (block & 1) === 1;
    const isRepeated = ((block >> 1) & 3) === 1;
    yield passed(isRepeated ? 1 : block >> 3);
  }
  const hasChecksum = (descriptor & 4) !== 0;
  yield passed(hasChecksum ? 4 : 0);
}

/** Window, id of the dictionary and length of the content, as far as the descriptor announces them. */
function headerRest(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const content = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionary + content;
}

/** Follows one frame. */
class FrameWalk {
  readonly #fields = fieldsOfFrame();
  #isNeeded = false;
  /** Bytes of the field that have not come yet. */
  #missing = 0;
  #value = Buffer.alloc(0);
  isOver = false;

  constructor() {
    this.#next();
  }

  /** @returns how many of these bytes belong to the frame: all of them, unless it ends before. @throws DamagedFrames */
  take(bytes: Buffer): number {
    let taken = 0;
    while (!this.isOver && taken < bytes.length) {
      const part = bytes.subarray(taken, taken + this.#missing);
      if (this.#isNeeded) this.#value = Buffer.concat([this.#value, part]);
      taken += part.length;
      this.#missing -= part.length;
      if (this.#missing === 0) this.#next();
    }
    return taken;
  }

  /** Fields may be empty. */
  #next(): void {
    while (this.#missing === 0 && !this.isOver) {
      const { value: field, done } = this.#fields.next(this.#value);
      this.#value = Buffer.alloc(0);
      this.isOver = done === true;
      if (field) {
        this.#missing = field.bytes;
        this.#isNeeded = field.isNeeded;
      }
    }
  }
}
