/** Starts a comparison in threads of its own, and waits for their answers. */
import { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import { programFile } from '../lib/program-file.ts';
import { newRing } from '../lib/shared-ring.ts';
import type { Compared, ComparingOrder, Comparison, ComparisonOrder, Source } from './comparing-thread.ts';
import type { DecodingOrder } from './decoding-thread.ts';
import type { FilledRing } from './lz4/block-filler.ts';
import { newBlockRing } from './lz4/block-ring.ts';
import type { ReadingOrder } from './reading-thread.ts';
import type { WarmingOrder } from './warming-thread.ts';

/**
 * MiB of heap. Large buffers are not on it; only who compares remembers anything. Little room for young objects also
 * frees early what they hold outside of the heap.
 */
const HEAPS = {
  'reading-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'decoding-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'warming-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'comparing-thread': { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 4 },
};

/**
 * One thread reads, another hashes and compares, and a third reads the disk ahead of that.
 * @param descriptor of a pipe with the plain stream; it stays the caller's.
 * @throws SnapError `COMPARE_FAILED` when the disk cannot be read. The threads have ended either way.
 */
export async function compareInThreads(descriptor: number, order: ComparisonOrder): Promise<Comparison> {
  const ring = newRing();
  const reading = startThread<ReadingOrder, number>('reading-thread', { descriptor, ring });
  const [, { comparison }] = await together(reading, { plain: ring }, order);
  return comparison;
}

export interface DecodedComparison {
  comparison: Comparison;
  /** Why the stream could not be decoded to its end; what was found before that stays. */
  problem: string | null;
  /** It is not such a stream, and nothing was compared. */
  isForeign: boolean;
}

/**
 * The same for a stream of lz4: one thread reads it, and both decode.
 * @param descriptor of a pipe with a stream as the `lz4` command writes it by itself; it stays the caller's.
 * @param isKnown whether the caller knows what the plain bytes hash to: then the checksum behind them is not needed.
 * @throws SnapError `COMPARE_FAILED`
 */
export async function compareLz4InThreads(
  descriptor: number,
  order: ComparisonOrder,
  isKnown: boolean,
): Promise<DecodedComparison> {
  const ring = newBlockRing();
  const decoding = startThread<DecodingOrder, FilledRing>('decoding-thread', { descriptor, ring });
  const source = { lz4: ring, withChecksum: !isKnown };
  const [filled, compared] = await together(decoding, source, order);
  return { ...compared, problem: filled.problem ?? compared.problem, isForeign: filled.isForeign };
}

async function together<Answer>(
  reading: Thread<Answer>,
  source: Source,
  order: ComparisonOrder,
): Promise<[Answer, Compared]> {
  const compared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const comparing = startThread<ComparingOrder, Compared>('comparing-thread', { source, order, compared });
  // It answers nothing, and may end before or after the others.
  const warming =
    order.how === 'tar' ? startThread<WarmingOrder, never>('warming-thread', { root: order.root, compared }) : null;
  try {
    return await Promise.all([reading.answer, comparing.answer]);
  } catch (cause) {
    throw new SnapError('COMPARE_FAILED', `the comparison broke off: ${asError(cause).message}`, {
      hint: 'look for read errors in dmesg; nothing was changed',
      cause,
    });
  } finally {
    await Promise.all([reading.end(), comparing.end(), warming?.end()]);
  }
}

interface Thread<Answer> {
  answer: Promise<Answer>;
  end(): Promise<number>;
}

function startThread<Order, Answer>(name: keyof typeof HEAPS, workerData: Order): Thread<Answer> {
  const worker = new Worker(programFile(`compare/${name}`), { workerData, resourceLimits: HEAPS[name] });
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`the ${name} ended without an answer`)));
  answer.catch(() => {});
  return { answer, end: () => worker.terminate() };
}
