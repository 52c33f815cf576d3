/** Starts a comparison in threads of its own, and waits for their answers. */
import { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import type { ComparingOrder, Comparison, ComparisonOrder } from './comparing-thread.ts';
import type { ReadingOrder } from './reading-thread.ts';
import { newRing } from './shared-ring.ts';

export interface ComparisonResult extends Comparison {
  /** SHA-256 of the plain stream, in base 16. */
  plainSha256: string;
}

/** The threads read large buffers that are not on their heaps. */
const LIMITS = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 8 };

/**
 * One thread reads and hashes, the other compares.
 * @param descriptor of a pipe with the plain stream; it stays the caller's.
 * @throws SnapError `COMPARE_FAILED` when the disk cannot be read. The threads have ended either way.
 */
export async function compareInThreads(descriptor: number, order: ComparisonOrder): Promise<ComparisonResult> {
  const ring = newRing();
  const reading = startThread<ReadingOrder, string>('reading-thread', { descriptor, ring });
  const comparing = startThread<ComparingOrder, Comparison>('comparing-thread', { ring, order });
  try {
    const [plainSha256, comparison] = await Promise.all([reading.answer, comparing.answer]);
    return { ...comparison, plainSha256 };
  } catch (cause) {
    throw new SnapError('COMPARE_FAILED', `the comparison broke off: ${asError(cause).message}`, {
      hint: 'look for read errors in dmesg; nothing was changed',
      cause,
    });
  } finally {
    await Promise.all([reading.end(), comparing.end()]);
  }
}

function startThread<Order, Answer>(name: string, workerData: Order) {
  const program = new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  const worker = new Worker(program, { workerData, resourceLimits: LIMITS });
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`the ${name} ended without an answer`)));
  answer.catch(() => {});
  return { answer, end: () => worker.terminate() };
}
