/**
 * A snapshot as a block device of this machine, without a volume: another process serves its blocks as a file, and a loop
 * device makes a disk of that. The disk can be written to, so that journals are replayed; the snapshot never is.
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
  /** Bytes. */
  size: number;
  /** Bytes that were ever written, where that is known. */
  dataBytes: number | null;
  access: DirectAccess;
  /** Blocks on their way at once. */
  inFlight: number;
  host: Host;
  signal: AbortSignal;
}

export interface ServedDisk extends AsyncDisposable {
  device: FoundDevice;
  /** Aborted, with the reason, when blocks cannot be had any more: what has been read since may be wrong. */
  failed: AbortSignal;
}

/** Sectors that the kernel reads ahead: requests of 1 MiB. */
const READ_AHEAD = '2048';

/** Of the file, in its temporary directory. */
export const DISK = 'disk';

/** @throws SnapError `NOT_SUPPORTED_HERE`, `MOUNT_FAILED`, `STAGE_FAILED`, or as `SnapshotBlocks` does. */
export async function serveDisk(options: ServedDiskOptions): Promise<ServedDisk> {
  requireFuse();
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory());
  requireSpace(directory.path, options);
  const file = join(directory.path, DISK);
  writeFileSync(file, '', { mode: 0o600 });
  // Unmounted last: a server that does not answer would keep its mount busy, and one that is gone does not.
  parts.defer(() => endFile(file));
  const server = parts.use(await startServer(file, join(directory.path, 'scratch'), options));
  await server.ready;
  const loop = parts.use(await attachLoop(file, ['--direct-io=on']));
  await runTool(['blockdev', '--setra', READ_AHEAD, loop.path], { signal: options.signal });
  const given = parts.move();
  return {
    device: { path: loop.path, size: options.size },
    failed: server.failed,
    [Symbol.asyncDispose]: () => given.disposeAsync(),
  };
}

function requireFuse(): void {
  if (existsSync('/dev/fuse')) return;
  throw new SnapError('NOT_SUPPORTED_HERE', 'there is no /dev/fuse, which direct reads of files go through', {
    hint: 'modprobe fuse (in a container: --device /dev/fuse --privileged), or use --source volume, or --dd',
  });
}

/** What has been read stays until all is done. */
function requireSpace(directory: string, { dataBytes, snapshotId }: ServedDiskOptions): void {
  const { bavail, bsize } = statfsSync(directory);
  if (dataBytes === null || dataBytes <= bavail * bsize) return;
  const [needed, free] = [formatBytes(dataBytes), formatBytes(bavail * bsize)];
  throw new SnapError('NOT_SUPPORTED_HERE', `${snapshotId} needs ${needed} in ${directory}, which has ${free}`, {
    hint: 'set TMPDIR to a directory with more space, or use --source volume, or --dd, which needs none',
  });
}

interface Server extends AsyncDisposable {
  /** Rejects when it cannot serve. */
  ready: Promise<void>;
  failed: AbortSignal;
}

const THREADS = 12;

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
    `UV_THREADPOOL_SIZE=${THREADS}`,
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
      await endServer(server);
    },
  };
}

/** It ends within milliseconds once its input does, unless something holds it. */
const SERVER_ENDS_WITHIN = seconds(2);

async function endServer(server: RunningProcess): Promise<void> {
  if (!(await isOver(server.outcome, SERVER_ENDS_WITHIN))) await server.stop();
}

/** @param within milliseconds. */
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

/** What Node itself may say besides is no report. */
function reportIn(line: string): ServingReport | null {
  if (!line.startsWith('{"serving"')) return null;
  return JSON.parse(line) as ServingReport;
}

async function endFile(file: string): Promise<void> {
  if (isMounted(file)) await endMount('a served snapshot', file);
}
