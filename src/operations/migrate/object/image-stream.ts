/**
 * The stream of an image whose blocks arrive in this process: source | compressing threads | gpg. Other contents come from
 * a process or a device, and pass through a pipeline of processes (`object-stream.ts`). Sending blocks to such a pipeline
 * and back would cost more than compressing them (docs/development/decisions/007-pieces.md).
 *
 * Concatenated, the frames are one stream for any decompressor. An interrupted upload resumes at a frame.
 */
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import { FrameCompressor } from '../../../indexing/frame-compressor.ts';
import { MiB } from '../../../lib/units.ts';
import { type Part, readParts, readSections, type Section } from '../../../transfer/part-reader.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe, PipeWriter } from '../../../transfer/pipes.ts';
import { environmentOfTools } from '../../../transfer/process.ts';
import { type Blocks, ImageFrames } from './image-frames.ts';
import type { ObjectOrder } from './object-order.ts';
import { allRead, verdictOnImage } from './object-source.ts';
import { blamingStages, type ObjectStream } from './object-stream.ts';
import { checkCounts } from './stream-counts.ts';
import { encryptionOf } from './transforms.ts';

/** Plain bytes between two checkpoints. A killed run loses only a few seconds of work. */
const CHECKPOINT_INTERVAL_BYTES = 256 * MiB;

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
  const isEncrypted = order.encryption !== null;
  const frames = new ImageFrames(image, compressor, from, { content, isEncrypted, signal: either });
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
      const producedBytes = allRead(order, image.position);
      checkCounts(order, producedBytes, frames, storedBytes);
      return { plainBytes: producedBytes, ...verdictOnImage(), indexed: null };
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
  const parts = readSections(sectionsOf(frames), {
    expectedBytes: order.content.expectedBytes,
    held: order.streams + 1,
    signal,
    after: { parts: from.parts, bytes: from.storedBytes },
    onCheckpoint: ({ bytes, parts }) =>
      order.journal.reached({ plainBytes: frames.plainBytes, storedBytes: bytes, parts }),
  });
  return { parts, ended: async () => {} };
}

function* sectionsOf(frames: ImageFrames): Generator<Section> {
  while (!frames.isComplete) {
    const end = (Math.floor(frames.plainBytes / CHECKPOINT_INTERVAL_BYTES) + 1) * CHECKPOINT_INTERVAL_BYTES;
    yield frames.upTo(end);
  }
}

async function encrypted(work: Work): Promise<Output & AsyncDisposable> {
  const { order, frames, signal, fail } = work;
  const pipe = await makePipe();
  const { stages, watch } = encryptionOf(order);
  const pipeline = await startPipeline(stages, { signal, input: pipe.readEnd }).catch((error) => {
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
    parts: blamingStages(pipeline, watch(parts)),
    async ended() {
      await writing;
      await pipeline.finished;
    },
    async [Symbol.asyncDispose]() {
      fail(new Error('the image is no longer needed'));
      parts[Symbol.dispose]();
      await pipeline[Symbol.asyncDispose]();
      await writing.catch(() => {});
    },
  };
}

/** Writes all frames to a pipe and closes it. It ends early if its reader does, whose outcome is the verdict then. */
async function writeFrames(frames: ImageFrames, descriptor: number): Promise<void> {
  using pipe = new PipeWriter(descriptor);
  for await (const bytes of frames.upTo(Number.POSITIVE_INFINITY)) if (!(await pipe.write(bytes))) return;
}
