/** Gives a stream to a sink in separate threads and waits for the result. */
import type { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import { newRing } from '../lib/bytes/shared-ring.ts';
import { seconds, startTimer } from '../lib/clock.ts';
import { cleanupError } from '../lib/disposal.ts';
import { startThread, type Thread } from '../lib/threads.ts';
import { whenAborted } from '../lib/when-aborted.ts';
import type { DecodingOrder } from './decoding-thread.ts';
import { newAlignedRing, type OpenDevice, openForReading } from './device-stream.ts';
import type { FilledRing } from './lz4/block-filler.ts';
import { newBlockRing } from './lz4/block-ring.ts';
import type { ReadingOrder } from './reading-thread.ts';
import type { SinkAnswer, SinkOrder, SinkThreadOrder, StreamFindings, StreamSource } from './sink-thread.ts';
import type { WarmingOrder } from './warming-thread.ts';

/**
 * Heap limits in MiB. Large buffers are not on the heap, and only the comparing thread keeps much state. A small young
 * generation also frees memory outside of the heap earlier.
 */
const HEAP_LIMITS = {
  'reading-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'decoding-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'warming-thread': { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 1 },
  'sink-thread': { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 4 },
};

/**
 * Consumes a plain stream. One thread reads it, a second one hashes, compares and writes, and a third one reads the disk ahead.
 * @param descriptor of the pipe with the plain stream. The caller closes it. When the comparison is canceled, the
 * writer of the pipe must close it, because a thread that waits for bytes cannot be stopped.
 * @throws SnapError `COMPARE_FAILED` if the disk cannot be read, or `BUG`; the reason of the signal. The threads have
 * ended in all cases.
 */
export async function consumeInThreads(
  descriptor: number,
  order: SinkOrder,
  signal: AbortSignal,
): Promise<StreamFindings> {
  const ring = newRing();
  const startReading = () => start<ReadingOrder, number>('reading-thread', { descriptor, ring });
  const [, { findings }] = await runBoth(startReading, { kind: 'plain', ring }, order, signal);
  return findings;
}

export interface DecodedFindings {
  findings: StreamFindings;
  /** Why the stream could not be decoded to its end; `null` if it could. Earlier findings are kept. */
  problem: string | null;
  /** Whether the stream has another format. Then nothing was compared. */
  isForeign: boolean;
}

/**
 * Consumes an lz4 stream: one thread reads it, and two threads decode it.
 * @param descriptor of the pipe with a stream in the default format of the `lz4` command. The caller closes it.
 * @param isKnown whether the hash of the plain bytes is known. Then the checksum of the stream is not needed.
 * @throws like `consumeInThreads`
 */
export async function consumeLz4InThreads(
  descriptor: number,
  order: SinkOrder,
  isKnown: boolean,
  signal: AbortSignal,
): Promise<DecodedFindings> {
  const ring = newBlockRing();
  const startDecoding = () => start<DecodingOrder, FilledRing>('decoding-thread', { descriptor, ring });
  const source = { kind: 'lz4', ring, withChecksum: !isKnown } as const;
  const [filled, answer] = await runBoth(startDecoding, source, order, signal);
  // A block that cannot be decoded comes before the position at which the stream could not be read any further.
  return { ...answer, problem: answer.problem ?? filled.problem, isForeign: filled.isForeign };
}

/** Waits for both threads. Aborting the signal stops them at any point. */
async function runBoth<Answer>(
  startReading: () => Thread<Answer>,
  source: StreamSource,
  order: SinkOrder,
  signal: AbortSignal,
): Promise<[Answer, SinkAnswer]> {
  using device = order.kind === 'device' ? openDevice(order.device) : null;
  const disk = device && newAlignedRing();
  const compared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const reading = startReading();
  const consuming = start<SinkThreadOrder, SinkAnswer>('sink-thread', { source, order, compared, disk });
  // The threads that read the disk ahead may end before or after the others. The warming thread posts no result.
  const warming =
    order.kind === 'tree' ? start<WarmingOrder, never>('warming-thread', { root: order.root, compared }) : null;
  const readingDisk =
    device && disk
      ? start<ReadingOrder, number>('reading-thread', { descriptor: device.descriptor, ring: disk })
      : null;
  const threads = [reading, consuming, warming, readingDisk].filter((thread) => thread !== null);
  await using _ended = { [Symbol.asyncDispose]: () => endAll(threads) };
  using canceled = whenAborted(signal);
  const failed = [canceled.promise, ...(readingDisk ? [readingDisk.broken] : [])];
  try {
    return await Promise.race([Promise.all([reading.answer, consuming.answer]), ...failed]);
  } catch (cause) {
    signal.throwIfAborted();
    throw comparisonFailure(asError(cause));
  }
}

/** @throws SnapError `COMPARE_FAILED` */
function openDevice(path: string): OpenDevice {
  try {
    return openForReading(path);
  } catch (cause) {
    throw comparisonFailure(asError(cause));
  }
}

const END_TIMEOUT = seconds(30);

/** @returns `false` if it does not end in time because it waits in the kernel, for example for a device that does not respond. */
async function endThread(worker: Worker): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  using _deadline = startTimer(END_TIMEOUT, () => late.resolve(false));
  const hasEnded = await Promise.race([worker.terminate().then(() => true), late.promise]);
  if (!hasEnded) worker.unref();
  return hasEnded;
}

/** @throws SnapError `CLEANUP_FAILED` if a thread does not end. */
async function endAll(threads: readonly Thread<unknown>[]): Promise<void> {
  const ended = await Promise.all(threads.map(({ worker }) => endThread(worker)));
  if (ended.every(Boolean)) return;
  const hint = `find out what it waits for: ps -L -o tid,stat,wchan:32,comm -p ${process.pid}`;
  throw cleanupError(
    `a thread of process ${process.pid}`,
    hint,
    new Error('it does not end, probably because a device does not respond'),
  );
}

/** An error of a system call is a problem of the disk or the machine. Any other error is a bug. */
function comparisonFailure(cause: NodeJS.ErrnoException): SnapError {
  const { code, syscall, message } = cause;
  if (syscall === undefined) return new SnapError('BUG', `the comparison failed: ${message}`, { cause });
  const hint =
    code === 'ENOSPC'
      ? 'free space in the directory for temporary files (TMPDIR), then run the same command again'
      : 'check dmesg for read errors; nothing was changed';
  return new SnapError('COMPARE_FAILED', `the comparison failed: ${message}`, { hint, cause });
}

function start<Order, Answer>(name: keyof typeof HEAP_LIMITS, order: Order): Thread<Answer> {
  return startThread<Order, Answer>(`streams/${name}`, order, { resourceLimits: HEAP_LIMITS[name] });
}
