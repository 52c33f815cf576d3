/**
 * Provides a snapshot as a block device without a volume: another process serves its blocks as a file, on which a loop
 * device is attached. The disk is writable, so that journals can be replayed. The snapshot does not change.
 */
import { closeSync, existsSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import type { DirectAccess, ServingOrder, ServingReport } from '../../fuse/serving-order.ts';
import { seconds, startTimer } from '../../lib/clock.ts';
import { NODE_FLAGS } from '../../lib/node-flags.ts';
import { programFile } from '../../lib/program-file.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { formatBytes } from '../../lib/units.ts';
import { describeOutcome, lastLine } from '../../transfer/outcome.ts';
import { makePipe } from '../../transfer/pipes.ts';
import { type RunningProcess, startStage } from '../../transfer/process.ts';
import { runTool } from '../../transfer/run-tool.ts';
import type { FoundDevice } from '../devices/block-devices.ts';
import { attachLoop } from '../devices/loop-devices.ts';
import { endMount, isMounted } from '../filesystems/mounts.ts';

export interface ServedDiskOptions {
  snapshotId: string;
  /** Size of the disk in bytes. */
  size: number;
  /** Bytes that were ever written; `null` if unknown. */
  dataBytes: number | null;
  access: DirectAccess;
  /** Maximum number of blocks in flight. */
  inFlight: number;
  host: Host;
  signal: AbortSignal;
}

export interface ServedDisk extends AsyncDisposable {
  device: FoundDevice;
  /** Aborted with the reason when blocks can no longer be read. Data that was read since then may be wrong. */
  failed: AbortSignal;
}

/** Sectors that the kernel reads ahead, which leads to requests of 1 MiB. */
const READ_AHEAD = '2048';

/** Name of the file in its temporary directory. */
export const DISK = 'disk';

/** @throws SnapError `NOT_SUPPORTED_HERE`, `MOUNT_FAILED`, `STAGE_FAILED`, or like `SnapshotBlocks`. */
export async function serveDisk(options: ServedDiskOptions): Promise<ServedDisk> {
  assertFuse();
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory());
  assertSpace(directory.path, options);
  const file = join(directory.path, DISK);
  writeFileSync(file, '', { mode: 0o600 });
  // Runs last on disposal: the mount stays busy while its server is running.
  parts.defer(() => unmountFile(file));
  const server = parts.use(await startServer(file, join(directory.path, 'scratch'), options));
  await server.ready;
  const loop = parts.use(await attachLoop(file, ['--direct-io=on']));
  await runTool(['blockdev', '--setra', READ_AHEAD, loop.path], { signal: options.signal });
  const cleanup = parts.move();
  return {
    device: { path: loop.path, size: options.size },
    failed: server.failed,
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

function assertFuse(): void {
  if (existsSync('/dev/fuse')) return;
  throw new SnapError('NOT_SUPPORTED_HERE', '/dev/fuse is missing, which direct reads of files require', {
    hint: 'run modprobe fuse (in a container: --device /dev/fuse --privileged), or use --source volume or --dd',
  });
}

/** Blocks that have been read stay on disk until the end. */
function assertSpace(directory: string, { dataBytes, snapshotId }: ServedDiskOptions): void {
  const { bavail, bsize } = statfsSync(directory);
  if (dataBytes === null || dataBytes <= bavail * bsize) return;
  const [needed, free] = [formatBytes(dataBytes), formatBytes(bavail * bsize)];
  throw new SnapError('NOT_SUPPORTED_HERE', `${snapshotId} needs ${needed} in ${directory}; ${free} is free`, {
    hint: 'set TMPDIR to a directory with more space, use --source volume, or use --dd, which needs none',
  });
}

interface Server extends AsyncDisposable {
  /** Rejects if the server cannot serve. */
  ready: Promise<void>;
  failed: AbortSignal;
}

const SERVER_THREADS = 12;

async function startServer(mountPoint: string, scratch: string, options: ServedDiskOptions): Promise<Server> {
  const { snapshotId, size: bytes, inFlight, access, host, signal } = options;
  const order: ServingOrder = { ...access, snapshotId, bytes, mountPoint, scratch, inFlight };
  const failure = new AbortController();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  const fail = (error: unknown) => {
    failure.abort(error);
    ready.reject(error);
  };
  const onReport = (report: ServingReport) => {
    if (report.serving === 'ready') ready.resolve();
    else if (report.serving === 'retry') host.notify({ code: 'call.retried', service: 'EBS', ...retryOf(report) });
    else if (report.serving === 'slowed')
      host.notify({ code: 'blocks.slowed', snapshot: snapshotId, ...rateOf(report) });
    else if (report.serving === 'failed') fail(new SnapError(report.code, report.message, hintOf(report)));
  };
  const pipe = await makePipe();
  const argv = [
    'env',
    `UV_THREADPOOL_SIZE=${SERVER_THREADS}`,
    process.execPath,
    ...NODE_FLAGS,
    fileURLToPath(programFile('fuse/serving-process')),
  ];
  const server = startStage(argv, {
    stdin: pipe.readEnd,
    stdout: null,
    callsAws: true,
    onStderrLine: (line) => {
      const report = reportIn(line);
      if (report) onReport(report);
    },
  });
  closeSync(pipe.readEnd);
  writeSync(pipe.writeEnd, `${JSON.stringify(order)}\n`);
  void server.outcome.then((outcome) => {
    const last = lastLine(outcome.stderrTail);
    fail(new SnapError('STAGE_FAILED', `the process that serves ${snapshotId} ${describeOutcome(outcome)}${last}`));
  });
  const onAbort = () => ready.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    ready: ready.promise,
    failed: failure.signal,
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', onAbort);
      closeSync(pipe.writeEnd);
      await stopServer(server);
    },
  };
}

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

const retryOf = ({ attempt, because, waitSeconds }: ServingReport & { serving: 'retry' }) => ({
  attempt,
  because,
  waitSeconds,
});

const rateOf = ({ limit, blocksPerSecond }: ServingReport & { serving: 'slowed' }) => ({ limit, blocksPerSecond });

const hintOf = ({ hint }: ServingReport & { serving: 'failed' }) => (hint === undefined ? {} : { hint });

/** Node may write other lines to standard error. */
function reportIn(line: string): ServingReport | null {
  if (!line.startsWith('{"serving"')) return null;
  return JSON.parse(line) as ServingReport;
}

async function unmountFile(file: string): Promise<void> {
  if (isMounted(file)) await endMount('a served snapshot', file);
}
