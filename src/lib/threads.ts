/** Starts the threads of the program. */
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { programFile } from './program-file.ts';

export interface Thread<Answer> {
  readonly worker: Worker;
  /** The message that the thread posts. Rejects if it fails, or ends without a message. */
  readonly answer: Promise<Answer>;
  /** Rejects as `answer` does, and never resolves. */
  readonly broken: Promise<never>;
}

/** @param program its path below `src`, without the extension. */
export function startThread<Order, Answer>(
  program: string,
  workerData: Order,
  options: Omit<WorkerOptions, 'workerData'> = {},
): Thread<Answer> {
  const worker = new Worker(programFile(program), { ...options, workerData });
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error(`${program} ended without a result`)));
  const broken = new Promise<never>((_resolve, rejectBroken) => answer.catch(rejectBroken));
  broken.catch(() => {});
  return { worker, answer, broken };
}
