/**
 * The process that serves a snapshot as a file. It is separate from the process that reads the file, because a process
 * that waits for its own answers cannot even be killed. It ends when the file is unmounted or its standard input ends.
 */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ebsClient } from '../cloud/aws/clients.ts';
import { awsSnapshotBlocks } from '../cloud/aws/ebs/snapshot-blocks.ts';
import { asError, SnapError } from '../errors.ts';
import { BlockRateLimiter } from '../transfer/rate-limiter.ts';
import { serveFile } from './file-server.ts';
import { LazyDisk } from './lazy-disk.ts';
import { mountServed } from './mount.ts';
import type { ServingOrder, ServingReport } from './serving-order.ts';

const report = (report: ServingReport): void => void process.stderr.write(`${JSON.stringify(report)}\n`);

function reportFailure(thrown: unknown): void {
  const error = thrown instanceof SnapError ? thrown : new SnapError('BUG', asError(thrown).message);
  const { code, message, hint } = error;
  report({ serving: 'failed', code, message, ...(hint === undefined ? {} : { hint }) });
}

async function serve(order: ServingOrder, signal: AbortSignal): Promise<void> {
  const rateLimiter = new BlockRateLimiter(order.blockRate);
  const onRetry = (retry: { attempt: number; because: string; waitSeconds: number }) => {
    report({ serving: 'retry', ...retry });
  };
  const client = ebsClient({ ...order, forcePathStyle: false, onRetry }, (id, limit) => {
    const blocksPerSecond = rateLimiter.reportThrottling(id, limit);
    if (blocksPerSecond) report({ serving: 'slowed', limit, blocksPerSecond });
  });
  const lazy = await LazyDisk.open({ ...order, blocks: awsSnapshotBlocks(client), rateLimiter, signal });
  const descriptor = openSync('/dev/fuse', 'r+');
  const disk = {
    size: order.bytes,
    read: (offset: number, length: number) => lazy.read(offset, length),
    write: (offset: number, data: Buffer) => lazy.write(offset, data),
  };
  const served = serveFile({ descriptor, disk, onError: reportFailure });
  await mountServed(descriptor, order.mountPoint);
  report({ serving: 'ready' });
  lazy.fetchAhead().catch((error) => {
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
