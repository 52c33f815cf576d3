/** An image as a new EBS snapshot, by direct writes: no volume, no root, no instance. */
import { BLOCK_KIND, type BlockTable, HASH_BYTES } from '../archive/block-table.ts';
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import { SnapError } from '../errors.ts';
import { minutes } from '../lib/clock.ts';
import { cleanupSignal, leftBehind } from '../lib/disposal.ts';
import { GiB } from '../lib/units.ts';
import { waitFor } from '../lib/wait.ts';
import { type WrittenBlocks, writeBlocks } from '../transfer/block-writer.ts';
import { type CheckServices, checkObject, imageIndexOf, type ObjectCheck } from './check-object.ts';
import type { Archive, ArchivedObject } from './find-archive.ts';
import type { RestoreSettings, Services } from './settings.ts';

/** Blocks on their way at once. */
const IN_FLIGHT = 32;

/** EBS works on it after its last block. */
const COMPLETION = minutes(60);

export interface RestoredSnapshot {
  id: string;
  check: ObjectCheck;
}

/**
 * The snapshot is completed only when the whole archive has proved to be what it should be; else it is deleted.
 * @param refuse throws when the check found differences.
 * @throws SnapError `DIFFERS` and what `checkObject` throws
 */
export async function restoreToSnapshot(
  archive: Archive,
  object: ArchivedObject,
  settings: RestoreSettings,
  services: Services,
  check: CheckServices,
  refuse: (found: ObjectCheck) => void,
): Promise<RestoredSnapshot> {
  const table = (await imageIndexOf(object, check))?.table ?? null;
  const { id, isEncrypted } = await services.newSnapshots.start(wantedOf(archive, object, settings), check);
  const held = services.host.hold({
    what: `unfinished snapshot ${id}`,
    remedy: `aws ec2 delete-snapshot --snapshot-id ${id}`,
  });
  try {
    let written: WrittenBlocks | null = null;
    const take = async (descriptor: number, signal: AbortSignal) => {
      written = await writeBlocks(descriptor, {
        snapshots: services.newSnapshots,
        snapshotId: id,
        inFlight: IN_FLIGHT,
        budget: services.budget,
        withZeros: isEncrypted,
        signal,
        check: (index, bytes, sha256) => table && refuseBlock(object.key, index, bytes, sha256, table),
      });
      return { plainBytes: written.plainBytes, plainSha256: written.plainSha256, differences: [] };
    };
    const found = await checkObject(object, archive.snapshotId, { how: 'stream', take }, check);
    refuse(found);
    const { blocks, sha256 } = (written as WrittenBlocks | null) ?? { blocks: 0, sha256: '' };
    await services.newSnapshots.complete(id, blocks, sha256, check);
    await waitUntilCompleted(id, services, check.signal);
    return { id, check: found };
  } catch (failure) {
    await giveBack(id, services, failure);
    throw failure;
  } finally {
    held[Symbol.dispose]();
  }
}

/** As the snapshot was, as far as the manifest knows. */
function wantedOf({ manifest }: Archive, { facts }: ArchivedObject, settings: RestoreSettings) {
  const before = manifest?.content.snapshot;
  const bytes = facts?.plainBytes ?? (before?.sizeGiB ?? 0) * GiB;
  if (bytes === 0) {
    throw new SnapError('NOT_FOUND', 'the archive does not tell how large the disk is', {
      hint: 'archives of version 0 have no manifest: use --to-file or --to-device',
    });
  }
  const own = Object.entries(before?.tags ?? {}).filter(
    ([key]) => !key.startsWith('aws:') && !key.startsWith('snap-to-s3'),
  );
  return {
    sizeGiB: Math.ceil(bytes / GiB),
    description: (before?.description ?? '').slice(0, 255),
    tags: Object.fromEntries(own),
    encrypted: settings.encrypt || settings.kmsKeyArn !== null || before?.encrypted === true,
    kmsKeyArn: settings.kmsKeyArn,
  };
}

/** @throws SnapError `DIFFERS` */
function refuseBlock(key: string, index: number, bytes: Buffer, sha256: Buffer, { kinds, hashes }: BlockTable): void {
  const kind = kinds[index];
  if (kind === BLOCK_KIND.unknown) return;
  const isRight =
    kind === BLOCK_KIND.zero
      ? bytes.equals(ZERO_BLOCK)
      : kind === BLOCK_KIND.data && sha256.equals(hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
  if (isRight) return;
  throw new SnapError('DIFFERS', `${key}: the block at byte ${index * BLOCK_BYTES} is not what was archived`, {
    hint: 'the archive is damaged: look for another copy, or another version of the object',
  });
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

async function waitUntilCompleted(id: string, { snapshots }: Services, signal: AbortSignal): Promise<void> {
  const look = async () => {
    const [found] = await snapshots.byId([id], { signal });
    if (found?.state === 'error') throw new SnapError('SNAPSHOT_UNUSABLE', `EBS could not complete ${id}`);
    const isDone = found?.state === 'completed';
    return {
      verdict: isDone ? ('done' as const) : ('again' as const),
      value: undefined,
      seen: found?.state ?? 'nothing',
    };
  };
  await waitFor(look, { what: `${id} to be completed`, within: COMPLETION, signal });
}

/** A snapshot without all of its blocks must not stay. */
async function giveBack(id: string, { newSnapshots }: Services, failure: unknown): Promise<void> {
  try {
    await newSnapshots.delete(id, { signal: cleanupSignal() });
  } catch (cause) {
    const left = leftBehind(`the unfinished snapshot ${id}`, `aws ec2 delete-snapshot --snapshot-id ${id}`, cause);
    throw new SuppressedError(left, failure);
  }
}
