/** Compares an image from direct reads with the hashes of its blocks, which were recorded when they were read. */
import {
  BLOCK_KIND,
  type BlockTable,
  HASH_BYTES,
  isEachBlockKnown,
  newTable,
  readImageIndex,
} from '../../archive/block-table.ts';
import type { ManifestObject } from '../../archive/manifest.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import { monotonic } from '../../lib/clock.ts';
import { blocksInOrder } from '../../transfer/block-image.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { Disk } from '../source/read-disk.ts';
import { isZeroBlock } from '../source/snapshot-image.ts';
import { reportCheck } from '../verify/check-archive.ts';
import { withHashes } from '../verify/proved-objects.ts';
import type { Migration } from './migration.ts';
import type { StoredContent } from './store-content.ts';

/**
 * Reads the image back from the bucket, and compares it with the hashes of the blocks. EBS provided the same hashes.
 * @param content the object, and its index unless an earlier run stored it.
 * @returns the object with its hash.
 * @throws SnapError `DIFFERS`
 */
export async function proveImage(
  migration: Migration,
  { device }: Disk,
  { object, index }: StoredContent,
): Promise<ManifestObject[]> {
  const { snapshot, settings, services, signal } = migration;
  const started = monotonic();
  const check: ReadContext = { ...services, signal, streams: settings.uploadStreams, sessionKey: null };
  const table = await tableOf(migration, device.size, index);
  const found = await verifyObject({ ...object, facts: object }, snapshot.id, { kind: 'blocks', table }, check);
  const checked = { checks: [found], missing: [], notKept: [] };
  reportCheck(snapshot.id, 'everything', checked, (monotonic() - started) / 1000, check);
  return withHashes([object], [found]);
}

/** Reads the blocks that an earlier run has stored, because their hashes are not known. */
async function tableOf(migration: Migration, bytes: number, body: Buffer | null): Promise<BlockTable> {
  const { snapshot, settings, services, signal } = migration;
  const table = body ? (await readImageIndex(body, snapshot.id, signal)).table : newTable(bytes, BLOCK_BYTES);
  const { kinds, hashes } = table;
  if (isEachBlockKnown(table)) return table;
  const blocks = blocksInOrder(
    {
      blocks: services.blocks,
      snapshotId: snapshot.id,
      from: 0,
      inFlight: settings.blockStreams,
      rateLimiter: services.rateLimiter,
      wanted: (index) => kinds[index] === BLOCK_KIND.unknown,
    },
    signal,
  );
  for await (const { index, block, release } of blocks) {
    kinds[index] = isZeroBlock(block.bytes) ? BLOCK_KIND.zero : BLOCK_KIND.data;
    hashes.set(Buffer.from(block.sha256, 'base64'), index * HASH_BYTES);
    release();
  }
  for (const [index, kind] of kinds.entries()) {
    if (kind === BLOCK_KIND.unknown) kinds[index] = BLOCK_KIND.zero;
  }
  return table;
}
