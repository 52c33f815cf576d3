/** Reads all blocks of a snapshot with the AWS SDK alone, checks and discards them. Arguments: `SNAPSHOT STREAMS`. */
import { createHash } from 'node:crypto';
import { EBSClient, GetSnapshotBlockCommand, paginateListSnapshotBlocks } from '@aws-sdk/client-ebs';

const [SnapshotId = '', streams = '32'] = process.argv.slice(2);
const client = new EBSClient({});
const started = performance.now();
const waiting: { BlockIndex: number; BlockToken: string }[] = [];
for await (const { Blocks = [] } of paginateListSnapshotBlocks({ client }, { SnapshotId })) {
  for (const { BlockIndex = 0, BlockToken = '' } of Blocks) waiting.push({ BlockIndex, BlockToken });
}
const count = waiting.length;
const loop = async () => {
  for (let block = waiting.pop(); block; block = waiting.pop()) {
    const { BlockData, Checksum } = await client.send(new GetSnapshotBlockCommand({ SnapshotId, ...block }));
    const bytes = (await BlockData?.transformToByteArray()) ?? new Uint8Array();
    if (createHash('sha256').update(bytes).digest('base64') !== Checksum) throw new Error('a checksum does not match');
  }
};
await Promise.all(Array.from({ length: Number(streams) }, loop));
process.stdout.write(`${JSON.stringify({ blocks: count, seconds: (performance.now() - started) / 1000 })}\n`);
