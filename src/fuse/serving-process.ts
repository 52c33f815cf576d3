/**
 * The process that serves a snapshot as a file. It is separate from the process that reads the file, because a process
 * that waits for its own answers cannot even be killed. It ends when the file is unmounted or its standard input ends.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ebsClient, s3Client } from '../cloud/aws/clients.ts';
import { awsSnapshotBlocks } from '../cloud/aws/ebs/snapshot-blocks.ts';
import { s3ArchiveStore } from '../cloud/aws/s3/archive-store.ts';
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import { asError, SnapError } from '../errors.ts';
import { BlockRateLimiter } from '../transfer/rate-limiter.ts';
import { ArchiveSource } from './archive-source.ts';
import { readPlaces } from './block-places.ts';
import { type FuseDisk, serveFile } from './file-server.ts';
import { LazyDisk } from './lazy-disk.ts';
import { mountServed } from './mount.ts';
import { ReadAhead } from './read-ahead.ts';
import type { ServedArchive, ServedSnapshot, ServingOrder, ServingReport } from './serving-order.ts';
import { SnapshotSource } from './snapshot-source.ts';

const report = (report: ServingReport): void => void process.stderr.write(`${JSON.stringify(report)}\n`);

function reportFailure(thrown: unknown): void {
  const error = thrown instanceof SnapError ? thrown : new SnapError('BUG', asError(thrown).message);
  const { code, message, hint } = error;
  report({ serving: 'failed', code, message, ...(hint === undefined ? {} : { hint }) });
}

const onRetry = (retry: { attempt: number; because: string; waitSeconds: number }): void =>
  report({ serving: 'retry', ...retry });

/** A disk, and what to do once it is mounted. */
interface OpenDisk {
  disk: FuseDisk;
  begin: () => Promise<void>;
}

async function openSnapshot(order: ServingOrder, { access }: ServedSnapshot, signal: AbortSignal): Promise<OpenDisk> {
  const { snapshotId, inFlight } = order;
  const rateLimiter = new BlockRateLimiter(access.blockRate);
  const client = ebsClient({ ...access, forcePathStyle: false, onRetry }, (id, limit) => {
    const blocksPerSecond = rateLimiter.reportThrottling(id, limit);
    if (blocksPerSecond) report({ serving: 'slowed', limit, blocksPerSecond });
  });
  const source = new SnapshotSource({ blocks: awsSnapshotBlocks(client), snapshotId, rateLimiter, signal });
  const otherwise = 'use --source volume, or use --dd, which needs none';
  const lazy = await LazyDisk.open({ ...order, source, otherwise });
  return { disk: diskOf(order, lazy), begin: () => lazy.fetchAhead(source.written, { inFlight, signal }) };
}

const diskOf = ({ bytes }: ServingOrder, lazy: LazyDisk): FuseDisk => ({
  size: bytes,
  read: (offset, length) => lazy.read(offset, length),
  write: (offset, data) => lazy.write(offset, data),
});

async function openArchive(order: ServingOrder, { access, places }: ServedArchive, signal: AbortSignal) {
  const { bytes, inFlight } = order;
  const settings = { ...access, onRetry };
  const clients = { control: s3Client(settings, 'control'), transfer: s3Client(settings, 'transfer') };
  const store = s3ArchiveStore(clients, { ...access, storageClass: 'STANDARD', tagAfterUpload: false });
  const onFetched = (count: number) => report({ serving: 'fetched', bytes: count });
  const onReread = (key: string) => report({ serving: 'reread', key });
  const blocks = { places: readPlaces(places), bytes, store, inFlight, signal };
  const source = new ArchiveSource({ ...blocks, onFetched, onReread });
  const lazy = await LazyDisk.open({ ...order, source, otherwise: 'or restore the image with --to-file' });
  const ahead = new ReadAhead();
  const read = (offset: number, length: number) => {
    const content = lazy.read(offset, length);
    const next = ahead.after(offset, length);
    if (next) lazy.prefetch(Math.floor(next.from / BLOCK_BYTES), Math.ceil(next.to / BLOCK_BYTES));
    return content;
  };
  return { disk: { ...diskOf(order, lazy), read }, begin: async () => {} };
}

const openDisk = (order: ServingOrder, signal: AbortSignal): Promise<OpenDisk> =>
  order.source.kind === 'snapshot'
    ? openSnapshot(order, order.source, signal)
    : openArchive(order, order.source, signal);

async function serve(order: ServingOrder, signal: AbortSignal): Promise<void> {
  const { disk, begin } = await openDisk(order, signal);
  const descriptor = openSync('/dev/fuse', 'r+');
  const served = serveFile({ descriptor, disk, onError: reportFailure });
  await mountServed(descriptor, order.mountPoint);
  report({ serving: 'ready' });
  begin().catch((error) => {
    if (!signal.aborted) reportFailure(error);
  });
  await served;
  closeSync(descriptor);
}

/**
 * The parent process is gone. Killing this process closes `/dev/fuse`, which ends all waiting reads. A normal exit
 * would wait for the threads that wait for the kernel.
 */
const killSelf = (): void => void process.kill(process.pid, 'SIGKILL');

const input = createInterface({ input: process.stdin });
input.once('close', killSelf);
input.once('line', (line) => {
  const stopped = new AbortController();
  serve(JSON.parse(line) as ServingOrder, stopped.signal)
    .catch((error) => {
      reportFailure(error);
      process.exitCode = 1;
    })
    .finally(() => {
      stopped.abort(new Error('the file is no longer served'));
      process.exit();
    });
});
