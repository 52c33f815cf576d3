/** Starts a comparison in a thread of its own, and waits for its answer. */
import { Worker } from 'node:worker_threads';
import { asError, SnapError } from '../errors.ts';
import type { ComparisonResult, WorkerData } from './worker.ts';

const PROGRAM = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** The thread reads large buffers that are not on its heap. */
const HEAP_MIB = 192;

/** @throws SnapError `COMPARE_FAILED` when the disk cannot be read. The thread has ended either way. */
export async function compareInThread(data: WorkerData): Promise<ComparisonResult> {
  const worker = new Worker(PROGRAM, { workerData: data, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } });
  const { promise, resolve, reject } = Promise.withResolvers<ComparisonResult>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error('the comparing thread ended without an answer')));
  try {
    return await promise;
  } catch (cause) {
    throw new SnapError('COMPARE_FAILED', `the comparison broke off: ${asError(cause).message}`, {
      hint: 'look for read errors in dmesg; nothing was changed',
      cause,
    });
  } finally {
    await worker.terminate();
  }
}
