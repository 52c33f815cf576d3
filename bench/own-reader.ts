/**
 * Reads all blocks of a snapshot with this program's own reader, which checks and orders them, and discards them.
 * Arguments: `SNAPSHOT STREAMS`.
 */
import { ebsClient } from '../src/cloud/aws/clients.ts';
import { awsSnapshotBlocks } from '../src/cloud/aws/ebs/snapshot-blocks.ts';
import { networkOf } from '../src/cloud/aws/network.ts';
import { blocksInOrder } from '../src/transfer/block-image.ts';
import { BlockRateLimiter } from '../src/transfer/rate-limiter.ts';

const [snapshotId = '', streams = '32'] = process.argv.slice(2);
const region = process.env['AWS_REGION'] ?? '';
const network = networkOf(process.env);
const client = ebsClient({ region, network, callTimeout: 30, forcePathStyle: false, onRetry: () => {} }, () => {});
const reading = {
  blocks: awsSnapshotBlocks(client),
  snapshotId,
  from: 0,
  inFlight: Number(streams),
  rateLimiter: new BlockRateLimiter(100_000, 100_000),
};
const started = performance.now();
let blocks = 0;
for await (const { release } of blocksInOrder(reading, new AbortController().signal)) {
  release();
  blocks++;
}
process.stdout.write(`${JSON.stringify({ blocks, seconds: (performance.now() - started) / 1000 })}\n`);
