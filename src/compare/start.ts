/** Starts a comparison in threads of its own, and waits for their answers. */
import { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import { programFile } from '../lib/program-file.ts';
import { newRing } from '../lib/shared-ring.ts';
import type { ComparingOrder, Comparison, ComparisonOrder } from './comparing-thread.ts';
import type { ReadingOrder } from './reading-thread.ts';
import type { WarmingOrder } from './warming-thread.ts';

/**
 * MiB of heap. Large buffers are not on it; only who compares remembers anything. Little room for young objects also
 * frees early what they hold outside of the heap.
 */
const HEAPS = {
  'reading-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
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
  const compared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const comparing = startThread<ComparingOrder, Comparison>('comparing-thread', { ring, order, compared });
  // It answers nothing, and may end before or after the others.
  const warming =
    order.how === 'tar' ? startThread<WarmingOrder, never>('warming-thread', { root: order.root, compared }) : null;
  try {
    const [, comparison] = await Promise.all([reading.answer, comparing.answer]);
    return comparison;
  } catch (cause) {
    throw new SnapError('COMPARE_FAILED', `the comparison broke off: ${asError(cause).message}`, {
      hint: 'look for read errors in dmesg; nothing was changed',
      cause,
    });
  } finally {
    await Promise.all([reading.end(), comparing.end(), warming?.end()]);
  }
}

function startThread<Order, Answer>(name: keyof typeof HEAPS, workerData: Order) {
  const worker = new Worker(programFile(`compare/${name}`), { workerData, resourceLimits: HEAPS[name] });
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`the ${name} ended without an answer`)));
  answer.catch(() => {});
  return { answer, end: () => worker.terminate() };
}
