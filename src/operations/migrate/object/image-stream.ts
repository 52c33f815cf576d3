/**
 * The stream of an image that is read block by block: source | compressing threads | parts. Every frame can be decoded by
 * itself, and concatenated they are one stream for any decompressor. An interrupted upload resumes at a frame.
 */
import { encryptCommand } from '../../../archive/cipher.ts';
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import { SnapError } from '../../../errors.ts';
import { COMPRESSION_BLOCK_BYTES as FRAME_PLAIN_BYTES } from '../../../indexing/block-memory.ts';
import { type Frame, FrameCompressor } from '../../../indexing/frame-compressor.ts';
import { isCommandFailure } from '../../../indexing/lz4-command.ts';
import { MiB } from '../../../lib/units.ts';
import type { BlockImage } from '../../../transfer/block-image.ts';
import { type Part, type Piece, readParts, readPieces } from '../../../transfer/part-reader.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe, writeAll } from '../../../transfer/pipes.ts';
import { environmentOfTools } from '../../../transfer/process.ts';
import type { Content } from './content.ts';
import { encryptedParts } from './encrypt.ts';
import type { ObjectOrder } from './object-order.ts';
import { blamingStages, type ObjectStream } from './object-stream.ts';
import { checkCounts } from './stream-counts.ts';

/** Plain bytes between two places at which an upload can resume. A killed run loses only a few seconds of work. */
const PIECE_BYTES = 256 * MiB;

type Blocks = Extract<Content, { kind: 'blocks' }>;

/** @param from the checkpoint at which the upload starts or resumes; the beginning if the object is encrypted. */
export async function openImageStream(
  order: ObjectOrder,
  content: Blocks,
  from: UploadCheckpoint,
  signal: AbortSignal,
): Promise<ObjectStream> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  await using opening = new AsyncDisposableStack();
  const image = opening.use(content.blocks(from.plainBytes, either));
  const compressor = opening.use(new FrameCompressor(order.codec, environmentOfTools()));
  const stopWaiting = () => compressor.fail(either.reason);
  either.addEventListener('abort', stopWaiting, { once: true });
  opening.defer(() => either.removeEventListener('abort', stopWaiting));
  const frames = new ImageFrames(image, compressor, content, from);
  opening.defer(() => {
    failed.abort(new Error('the image is no longer needed'));
    return frames.ended();
  });
  const work: Work = { order, frames, from, signal: either, fail: (reason) => failed.abort(reason) };
  const { parts, ended } = order.encryption ? opening.use(await encrypted(work)) : unencrypted(work);
  const opened = opening.move();
  return {
    parts,
    broken: failed.signal,
    position: () => image.position,
    async verdict(storedBytes) {
      await ended();
      const { plainBytes } = frames;
      checkCounts(order, content.expectedBytes, { plainBytes, storedBytes: frames.storedBytes }, storedBytes);
      return { plainBytes, sockets: null, contentBytes: null, indexed: null };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

interface Work {
  order: ObjectOrder;
  frames: ImageFrames;
  from: UploadCheckpoint;
  signal: AbortSignal;
  /** Ends the stream with the reason why it cannot become complete. */
  fail: (reason: unknown) => void;
}

interface Output {
  parts: AsyncIterable<Part>;
  /** Call it after the last part. It throws if a stage has failed. */
  ended(): Promise<void>;
}

function unencrypted({ order, frames, from, signal }: Work): Output {
  const parts = readPieces(piecesOf(frames), {
    expectedBytes: order.content.expectedBytes,
    held: order.streams + 1,
    signal,
    after: { parts: from.parts, bytes: from.storedBytes },
    onResumePoint: ({ bytes, parts }) =>
      order.journal.reached({ plainBytes: frames.plainBytes, storedBytes: bytes, parts }),
  });
  return { parts, ended: async () => {} };
}

function* piecesOf(frames: ImageFrames): Generator<Piece> {
  while (!frames.isComplete) {
    const end = (Math.floor(frames.plainBytes / PIECE_BYTES) + 1) * PIECE_BYTES;
    yield { source: frames.upTo(end), end: async () => {} };
  }
}

async function encrypted(work: Work): Promise<Output & AsyncDisposable> {
  const { order, frames, signal, fail } = work;
  const pipe = await makePipe();
  const argv = order.encryption ? encryptCommand(order.encryption) : [];
  const pipeline = await startPipeline([{ name: 'gpg', argv }], { signal, input: pipe.readEnd }).catch((error) => {
    closeAll([pipe.readEnd, pipe.writeEnd]);
    throw error;
  });
  closeAll([pipe.readEnd]);
  pipeline.finished.catch(fail);
  const writing = writeFrames(frames, pipe.writeEnd);
  writing.catch(fail);
  const { expectedBytes } = order.content;
  const parts = readParts(pipeline.output, { expectedBytes, held: order.streams + 1, signal });
  return {
    parts: blamingStages(pipeline, encryptedParts(parts)),
    async ended() {
      await writing;
      await pipeline.finished;
    },
    async [Symbol.asyncDispose]() {
      fail(new Error('the image is no longer needed'));
      await pipeline[Symbol.asyncDispose]();
      await writing.catch(() => {});
    },
  };
}

/** Writes all frames to a pipe and closes it. It ends early if its reader does, whose outcome is the verdict then. */
async function writeFrames(frames: ImageFrames, descriptor: number): Promise<void> {
  try {
    for await (const bytes of frames.upTo(Number.POSITIVE_INFINITY)) if (!(await writeAll(descriptor, bytes))) return;
  } finally {
    closeAll([descriptor]);
  }
}

/** @throws SnapError `STAGE_FAILED` if a compressing command has failed; every other error unchanged. */
function blameCommand(error: unknown): never {
  if (!isCommandFailure(error)) throw error;
  throw new SnapError('STAGE_FAILED', error.message, {
    hint: 'nothing was stored; resolve the cause that the command reports, then run the same command again',
    cause: error,
  });
}

/** The frames of an image, in order. Meanwhile, later blocks are read and compressed. */
class ImageFrames {
  readonly #image: BlockImage;
  readonly #compressor: FrameCompressor;
  readonly #index: Blocks['index'];
  /** Bytes of the image in the frames that were taken, and the bytes of all frames up to there in the object. */
  plainBytes: number;
  storedBytes: number;
  #isAfterZeros = false;
  readonly #reading: Promise<void>;

  constructor(image: BlockImage, compressor: FrameCompressor, { index }: Blocks, from: UploadCheckpoint) {
    this.#image = image;
    this.#compressor = compressor;
    this.#index = index;
    this.plainBytes = from.plainBytes;
    this.storedBytes = from.storedBytes;
    this.#reading = this.#readAhead().catch((error) => this.#compressor.fail(error));
  }

  /** Settles when no more blocks are read. */
  ended(): Promise<void> {
    return this.#reading;
  }

  /** Whether all frames were taken. */
  get isComplete(): boolean {
    return this.plainBytes === this.#image.bytes;
  }

  /** Yields the frames of the image up to a byte of the disk. The bytes of a frame are valid until the next one is taken. */
  async *upTo(end: number): AsyncGenerator<Buffer> {
    while (this.plainBytes < Math.min(end, this.#image.bytes)) {
      const frame = await this.#compressor.first().catch(blameCommand);
      this.#notePlace(frame);
      this.plainBytes += frame.plainBytes;
      this.storedBytes += frame.bytes.length;
      yield frame.bytes;
      this.#compressor.drop();
    }
  }

  async #readAhead(): Promise<void> {
    const { bytes } = this.#image;
    while (this.#image.position < bytes) {
      const { position } = this.#image;
      const length = Math.min(FRAME_PLAIN_BYTES - (position % FRAME_PLAIN_BYTES), bytes - position);
      const isData = await this.#image.read(await this.#compressor.room(length));
      if (isData) this.#compressor.add(length);
      else this.#compressor.addZeros(length);
    }
  }

  /** Within zeros, nobody needs the places of single frames. */
  #notePlace({ isZero }: Frame): void {
    if (!isZero || !this.#isAfterZeros) this.#index.piece(this.plainBytes, this.storedBytes);
    this.#isAfterZeros = isZero;
  }
}
