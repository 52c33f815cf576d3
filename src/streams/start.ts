/** Starts a comparison in threads of its own, and waits for their answers. */
import { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import { newRing } from '../lib/bytes/shared-ring.ts';
import { seconds, startTimer } from '../lib/clock.ts';
import { cleanupError } from '../lib/disposal.ts';
import { programFile } from '../lib/program-file.ts';
import { whenAborted } from '../lib/when-aborted.ts';
import type { Compared, ComparingOrder, ComparisonOrder, Source, StreamFindings } from './comparing-thread.ts';
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
 * @param descriptor of a pipe with the plain stream; it stays the caller's. When the comparison is cancelled, whoever
 *   writes to the pipe must close it, since a thread that waits for bytes cannot be stopped.
 * @throws SnapError `COMPARE_FAILED` when the disk cannot be read, `BUG`; the signal's reason. The threads have ended
 *   either way, wherever they were.
 */
export async function compareInThreads(
  descriptor: number,
  order: ComparisonOrder,
  signal: AbortSignal,
): Promise<StreamFindings> {
  const ring = newRing();
  const reading = startThread<ReadingOrder, number>('reading-thread', { descriptor, ring });
  const [, { comparison }] = await together(reading, { plain: ring }, order, signal);
  return comparison;
}

export interface DecodedComparison {
  comparison: StreamFindings;
  /** Why the stream could not be decoded to its end; what was found before that stays. */
  problem: string | null;
  /** It is not such a stream, and nothing was compared. */
  isForeign: boolean;
}

/**
 * The same for a stream of lz4: one thread reads it, and both decode.
 * @param descriptor of a pipe with a stream as the `lz4` command writes it by itself; it stays the caller's.
 * @param isKnown whether the caller knows what the plain bytes hash to: then the checksum behind them is not needed.
 * @throws as `compareInThreads`
 */
export async function compareLz4InThreads(
  descriptor: number,
  order: ComparisonOrder,
  isKnown: boolean,
  signal: AbortSignal,
): Promise<DecodedComparison> {
  const ring = newBlockRing();
  const decoding = startThread<DecodingOrder, FilledRing>('decoding-thread', { descriptor, ring });
  const source = { lz4: ring, withChecksum: !isKnown };
  const [filled, compared] = await together(decoding, source, order, signal);
  // A block that cannot be decoded precedes the place where the stream could not be read any further.
  return { ...compared, problem: compared.problem ?? filled.problem, isForeign: filled.isForeign };
}

/** Cancelled, it stops the threads in the middle of whatever loop they are in. */
async function together<Answer>(
  reading: Thread<Answer>,
  source: Source,
  order: ComparisonOrder,
  signal: AbortSignal,
): Promise<[Answer, Compared]> {
  const compared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const comparing = startThread<ComparingOrder, Compared>('comparing-thread', { source, order, compared });
  // It answers nothing, and may end before or after the others.
  const warming =
    order.how === 'tar' ? startThread<WarmingOrder, never>('warming-thread', { root: order.root, compared }) : null;
  const threads = [reading, comparing, ...(warming ? [warming] : [])];
  await using _ended = { [Symbol.asyncDispose]: () => endAll(threads) };
  using cancelled = whenAborted(signal);
  try {
    return await Promise.race([Promise.all([reading.answer, comparing.answer]), cancelled.promise]);
  } catch (cause) {
    signal.throwIfAborted();
    throw comparisonFailure(asError(cause));
  }
}

const ENDS_WITHIN = seconds(30);

async function endThread(worker: Worker): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  using _deadline = startTimer(ENDS_WITHIN, () => late.resolve(false));
  const hasEnded = await Promise.race([worker.terminate().then(() => true), late.promise]);
  if (!hasEnded) worker.unref();
  return hasEnded;
}

/** @throws SnapError `CLEANUP_FAILED` */
async function endAll(threads: readonly Thread<unknown>[]): Promise<void> {
  const ended = await Promise.all(threads.map((thread) => thread.end()));
  if (ended.every(Boolean)) return;
  const hint = `see what it waits for: ps -L -o tid,stat,wchan:32,comm -p ${process.pid}`;
  throw cleanupError(
    `a thread of process ${process.pid}`,
    hint,
    new Error('it does not end, as when a device does not answer'),
  );
}

/** What the system refuses is the disk's fault or the machine's; everything else is ours. */
function comparisonFailure(cause: NodeJS.ErrnoException): SnapError {
  const { code, syscall, message } = cause;
  if (syscall === undefined) return new SnapError('BUG', `the comparison failed: ${message}`, { cause });
  const hint =
    code === 'ENOSPC'
      ? 'free space in the directory for temporary files (TMPDIR), then run the same command again'
      : 'look for read errors in dmesg; nothing was changed';
  return new SnapError('COMPARE_FAILED', `the comparison failed: ${message}`, { hint, cause });
}

interface Thread<Answer> {
  answer: Promise<Answer>;
  /** `false` when it does not end in time: it waits in the kernel, as for a device that does not answer. */
  end(): Promise<boolean>;
}

function startThread<Order, Answer>(name: keyof typeof HEAPS, workerData: Order): Thread<Answer> {
  const worker = new Worker(programFile(`streams/${name}`), { workerData, resourceLimits: HEAPS[name] });
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`the ${name} ended without an answer`)));
  answer.catch(() => {});
  return { answer, end: () => endThread(worker) };
}
