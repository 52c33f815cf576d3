/** The process that serves a disk as a file, and what it reports. */
import { closeSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import type { ServingOrder, ServingReport } from '../../fuse/serving-order.ts';
import { seconds, startTimer } from '../../lib/clock.ts';
import { NODE_FLAGS } from '../../lib/node-flags.ts';
import { programFile } from '../../lib/program-file.ts';
import { whenAborted } from '../../lib/when-aborted.ts';
import { describeOutcome, lastLine } from '../../transfer/outcome.ts';
import { makePipe } from '../../transfer/pipes.ts';
import { type RunningProcess, startStage } from '../../transfer/process.ts';

export interface Server extends AsyncDisposable {
  /** Aborted with the reason when blocks cannot be read. It is final once the server has been disposed of. */
  failed: AbortSignal;
  /** Stored bytes of an archive that were fetched. */
  fetchedBytes(): number;
}

const SERVER_THREADS = 12;

/** Waits until the file can be read. @throws SnapError why it cannot be served; the reason of the signal. */
export async function startServer(order: ServingOrder, host: Host, signal: AbortSignal): Promise<Server> {
  const heard = new Reports(order, host);
  const pipe = await makePipe();
  const program = fileURLToPath(programFile('fuse/serving-process'));
  const argv = ['env', `UV_THREADPOOL_SIZE=${SERVER_THREADS}`, process.execPath, ...NODE_FLAGS, program];
  const server = startStage(argv, {
    stdin: pipe.readEnd,
    stdout: null,
    callsAws: true,
    onStderrLine: (line) => heard.take(line),
  });
  closeSync(pipe.readEnd);
  writeSync(pipe.writeEnd, `${JSON.stringify(order)}\n`);
  void server.outcome.then((outcome) => {
    const last = lastLine(outcome.stderrTail);
    const ended = `the process that serves ${order.snapshotId} ${describeOutcome(outcome)}${last}`;
    heard.end(new SnapError('STAGE_FAILED', ended));
  });
  const endInput = () => {
    if (!heard.isStopping) closeSync(pipe.writeEnd);
    heard.isStopping = true;
  };
  // Whoever waits for a block would otherwise wait until the bucket answers.
  const isEndedBySignal = order.source.kind === 'archive';
  if (isEndedBySignal) signal.addEventListener('abort', endInput, { once: true });
  const stop = async () => {
    signal.removeEventListener('abort', endInput);
    endInput();
    await stopServer(server);
  };
  try {
    using canceled = whenAborted(signal);
    await Promise.race([heard.ready, canceled.promise]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { failed: heard.failed, fetchedBytes: () => heard.fetchedBytes, [Symbol.asyncDispose]: stop };
}

/** What the process has reported. */
class Reports {
  readonly #order: ServingOrder;
  readonly #host: Host;
  readonly #ready = Promise.withResolvers<void>();
  readonly #failure = new AbortController();
  fetchedBytes = 0;
  /** Whether the process was told to end. */
  isStopping = false;

  constructor(order: ServingOrder, host: Host) {
    this.#order = order;
    this.#host = host;
    this.#ready.promise.catch(() => {});
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  /** Node may write other lines to standard error. */
  take(line: string): void {
    if (line.startsWith('{"serving"')) this.#hear(JSON.parse(line) as ServingReport);
  }

  end(error: SnapError): void {
    if (!this.isStopping) this.#fail(error);
  }

  #hear(report: ServingReport): void {
    const { snapshotId: snapshot, source } = this.#order;
    const service = source.kind === 'snapshot' ? 'EBS' : 'S3';
    if (report.serving === 'ready') this.#ready.resolve();
    else if (report.serving === 'retry') this.#host.notify({ code: 'call.retried', service, ...retryOf(report) });
    else if (report.serving === 'slowed') this.#host.notify({ code: 'blocks.slowed', snapshot, ...rateOf(report) });
    else if (report.serving === 'fetched') this.fetchedBytes += report.bytes;
    else if (report.serving === 'reread') this.#host.notify({ code: 'object.reread', snapshot, key: report.key });
    else if (report.serving === 'failed') this.#fail(new SnapError(report.code, report.message, hintOf(report)));
  }

  #fail(error: unknown): void {
    this.#failure.abort(error);
    this.#ready.reject(error);
  }
}

const retryOf = ({ attempt, because, waitSeconds }: ServingReport & { serving: 'retry' }) => ({
  attempt,
  because,
  waitSeconds,
});

const rateOf = ({ limit, blocksPerSecond }: ServingReport & { serving: 'slowed' }) => ({ limit, blocksPerSecond });

const hintOf = ({ hint }: ServingReport & { serving: 'failed' }) => (hint === undefined ? {} : { hint });

/** The server ends within milliseconds after its input has ended, unless something blocks it. */
const SERVER_STOP_TIMEOUT = seconds(2);

async function stopServer(server: RunningProcess): Promise<void> {
  if (!(await isOver(server.outcome, SERVER_STOP_TIMEOUT))) await server.stop();
}

/** Whether the work ends in time. @param within milliseconds */
async function isOver(work: Promise<unknown>, within: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  using _timer = startTimer(within, () => late.resolve(false));
  return await Promise.race([work.then(() => true), late.promise]);
}
