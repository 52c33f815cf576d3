/** Proves a directly read image by what was noted of its blocks when they were read. */
import {
  BLOCK_KIND,
  type BlockTable,
  HASH_BYTES,
  isEachBlockKnown,
  newTable,
  readImageIndex,
} from '../../archive/block-table.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import { monotonic, now } from '../../lib/clock.ts';
import { blocksInOrder } from '../../transfer/block-image.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { isZeroBlock } from '../source/snapshot-image.ts';
import { reportCheck } from '../verify/check-archive.ts';
import type { ArchiveDraft, Migration } from './migration.ts';

/**
 * Reads the image back from the bucket, and holds it against the hashes of the blocks, which agreed with EBS's own.
 * @param body of the index; `null` where an earlier run stored the object.
 * @throws SnapError `DIFFERS`
 */
export async function validateStored(migration: Migration, draft: ArchiveDraft, body: Buffer | null): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  const started = monotonic();
  const check: ReadContext = { ...services, signal, streams: settings.uploadStreams, sessionKey: null };
  const checks: ObjectFindings[] = [];
  for (const facts of draft.objects) {
    const table = await tableOf(migration, draft, body);
    const found = await verifyObject({ ...facts, facts }, snapshot.id, { kind: 'blocks', table }, check);
    // A hash of what is encrypted would tell who has a guess that it is right.
    if (facts.cipher === 'none') facts.plainSha256 = found.plainSha256;
    checks.push(found);
  }
  reportCheck(snapshot.id, 'everything', { checks, missing: [], notKept: [] }, (monotonic() - started) / 1000, check);
  draft.validatedAt = now().toISOString();
}

/** What an earlier run has stored was never seen by this one: those blocks are read now. */
async function tableOf(migration: Migration, draft: ArchiveDraft, body: Buffer | null): Promise<BlockTable> {
  const { snapshot, settings, services, signal } = migration;
  const table = body
    ? (await readImageIndex(body, snapshot.id, signal)).table
    : newTable(draft.device.size, BLOCK_BYTES);
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
  for await (const { index, block } of blocks) {
    kinds[index] = isZeroBlock(block.bytes) ? BLOCK_KIND.zero : BLOCK_KIND.data;
    hashes.set(Buffer.from(block.sha256, 'base64'), index * HASH_BYTES);
  }
  for (const [index, kind] of kinds.entries()) {
    if (kind === BLOCK_KIND.unknown) kinds[index] = BLOCK_KIND.zero;
  }
  return table;
}
