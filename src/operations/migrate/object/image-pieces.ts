/**
 * Compresses the image of a snapshot in separate pieces. Concatenated, they are one stream for any decompressor, and an
 * interrupted upload resumes at the start of a piece.
 */
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import { compressCommand } from '../../../archive/codec.ts';
import { MiB } from '../../../lib/units.ts';
import type { BlockImage } from '../../../transfer/block-image.ts';
import { type Piece, readPieces, START } from '../../../transfer/part-reader.ts';
import { type RunningPipeline, startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll, makePipe, writeAll } from '../../../transfer/pipes.ts';
import type { Content } from './content.ts';
import type { ObjectOrder } from './object-order.ts';
import type { ObjectStream } from './object-stream.ts';
import { checkCounts, mismatch } from './stream-counts.ts';

/** A killed run loses only a few seconds of work, and starting a compressor takes little time compared with a piece. */
const PIECE_BYTES = 256 * MiB;

type Pieces = Extract<Content, { kind: 'blocks' }>;

/** @param from the checkpoint at which the upload starts or resumes. */
export function openPieces(
  order: ObjectOrder,
  content: Pieces,
  from: UploadCheckpoint,
  signal: AbortSignal,
): ObjectStream {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const image = content.blocks(from.plainBytes, either);
  const bytes = order.content.expectedBytes;
  const work: Work = { order, content, stored: from.storedBytes, signal: either, failed };
  const parts = readPieces(compressed(image, work), {
    expectedBytes: bytes,
    held: order.streams + 1,
    signal: either,
    after: { parts: from.parts, bytes: from.storedBytes },
    onResumePoint: (point) =>
      order.journal.reached({ plainBytes: image.position, storedBytes: point.bytes, parts: point.parts }),
  });
  return {
    parts,
    broken: failed.signal,
    position: () => image.position,
    async verdict(storedBytes) {
      if (image.position !== bytes) throw mismatch(order, `${image.position} of the ${bytes} bytes were read`);
      if (work.stored !== storedBytes) {
        throw mismatch(order, `${order.codec.name} wrote ${work.stored} bytes, ${storedBytes} were uploaded`);
      }
      return { plainBytes: bytes, sockets: null, contentBytes: null, indexed: null };
    },
    [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
  };
}

/** Starts each compressor while the previous one is still working. */
async function* compressed(image: BlockImage, work: Work): AsyncGenerator<Piece> {
  const { bytes } = image;
  let ahead: Promise<Compressor> | null = null;
  let zeros: Buffer | null = null;
  try {
    for (let start = image.position; start < bytes; ) {
      const end = Math.min(bytes, (Math.floor(start / PIECE_BYTES) + 1) * PIECE_BYTES);
      if (end - start === PIECE_BYTES && (await image.skipIfEmpty(end))) {
        work.content.index.piece(start, work.stored);
        zeros ??= await compressedZeros(work);
        work.stored += zeros.length;
        yield { source: zeros, end: async () => {} };
        start = end;
        continue;
      }
      await using compressor: Compressor = await (ahead ?? startCompressor(work));
      ahead = end < bytes ? startCompressor(work) : null;
      ahead?.catch(() => {});
      work.content.index.piece(start, work.stored);
      yield compressor.piece(image, start, end, (length) => {
        work.stored += length;
      });
      start = end;
    }
  } finally {
    const unused = await ahead?.catch(() => null);
    await unused?.[Symbol.asyncDispose]();
  }
}

interface Work {
  order: ObjectOrder;
  content: Pieces;
  /** Stored bytes of all complete pieces. */
  stored: number;
  signal: AbortSignal;
  failed: AbortController;
}

interface Compressor extends AsyncDisposable {
  /** Compresses the bytes between two positions of the image; call it once. @param onStored receives the stored length. */
  piece(image: Pick<BlockImage, 'writeTo'>, start: number, end: number, onStored: (bytes: number) => void): Piece;
}

async function startCompressor({ order, signal, failed }: Work): Promise<Compressor> {
  const pipe = await makePipe();
  let pipeline: RunningPipeline;
  try {
    const stage = { name: order.codec.name, argv: compressCommand(order.codec) };
    pipeline = await startPipeline([stage], { signal, input: pipe.readEnd });
  } catch (error) {
    closeAll([pipe.readEnd, pipe.writeEnd]);
    throw error;
  }
  closeAll([pipe.readEnd]);
  let isWanted = true;
  pipeline.finished.catch((error) => {
    if (isWanted) failed.abort(error);
  });
  let writing: Promise<void> | null = null;
  let isWritten = false;
  return {
    piece(image, start, end, onStored) {
      writing = image.writeTo(pipe.writeEnd, end).finally(() => {
        isWritten = true;
        closeAll([pipe.writeEnd]);
      });
      writing.catch((error) => failed.abort(error));
      const proved = async (storedBytes: number) => {
        await writing;
        checkCounts(order, await pipeline.finished, null, { plainBytes: end - start, storedBytes });
        onStored(storedBytes);
      };
      return { source: pipeline.output, end: proved };
    },
    async [Symbol.asyncDispose]() {
      isWanted = false;
      if (writing && !isWritten) failed.abort(new Error('the image is no longer needed'));
      await pipeline[Symbol.asyncDispose]();
      if (writing) await writing.catch(() => {});
      else closeAll([pipe.writeEnd, pipeline.output]);
    },
  };
}

/** Compresses a piece of zeros. The result is always the same, so it is computed once. */
async function compressedZeros(work: Work): Promise<Buffer> {
  const zeros = Buffer.alloc(MiB);
  await using compressor = await startCompressor(work);
  const image: Pick<BlockImage, 'writeTo'> = {
    async writeTo(descriptor) {
      for (let count = 0; count < PIECE_BYTES / zeros.length; count++) await writeAll(descriptor, zeros);
    },
  };
  const chunks: Buffer[] = [];
  const piece = compressor.piece(image, 0, PIECE_BYTES, () => {});
  const reading = { expectedBytes: 0, held: 1, signal: work.signal, after: START, onResumePoint: () => {} };
  for await (const { bytes, release } of readPieces([piece], reading)) {
    chunks.push(Buffer.from(bytes));
    release();
  }
  return Buffer.concat(chunks);
}
