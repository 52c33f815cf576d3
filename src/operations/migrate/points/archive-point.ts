/**
 * Archives a snapshot as a point: stores only the blocks that the generations of its parent do not hold.
 *
 * Packs come first, then the block list and the map, then every pack that the map needs is looked up, then the manifest.
 * Until then, what was stored belongs to no archive.
 */

import { randomBytes } from 'node:crypto';
import { cipherOf } from '../../../archive/cipher.ts';
import { manifestKey } from '../../../archive/key.ts';
import type { DeviceProof } from '../../../archive/manifest.ts';
import { MAX_LISTED_BLOCKS } from '../../../archive/points/block-list.ts';
import { chainLock } from '../../../archive/points/point-manifest.ts';
import type { PointValidation } from '../../../archive/points/point-validation.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { ObjectLock } from '../../../cloud/object-lock.ts';
import { SnapError } from '../../../errors.ts';
import { failureOfOne } from '../../../lib/failure-of-one.ts';
import { formatBytes } from '../../../lib/units.ts';
import { readManifest } from '../../reading/find-archive.ts';
import type { FoundPoint } from '../../reading/point/found-point.ts';
import { type Disk, readDisk } from '../../source/read-disk.ts';
import { type Source, withSnapshotDisk } from '../../source/snapshot-disk.ts';
import { readDiskEnds } from '../../source/snapshot-image.ts';
import { lockOfChain } from '../locks.ts';
import { archiveName, type Migration } from '../migration.ts';
import { type Changes, changesByEbs, changesByHash, changesOfBase } from './changes.ts';
import { chooseParent, type ParentChoice } from './choose-parent.ts';
import { type CommittedPoint, commitPoint, type PointDraft } from './commit-point.ts';
import { deviceSource, directSource, type PointSource } from './point-source.ts';
import { removeUnfinished } from './remove-unfinished.ts';
import { storePacks } from './store-packs.ts';

/** Called when the archive is complete. @param validation `null` unless the point was validated */
type OnComplete = (validation: PointValidation | null) => Promise<void>;

export async function archivePoint(migration: Migration, source: Source, onComplete: OnComplete): Promise<void> {
  const { snapshot, settings, services, signal } = migration;
  if (source === 'direct') {
    const disk = await readDiskEnds(snapshot, services, signal);
    const blocks = directSource(snapshot, settings, services);
    return archiveFrom(migration, { source, blocks, disk, proof: null }, onComplete);
  }
  await withSnapshotDisk(source, { ...migration, purpose: 'image' }, async ({ device, proof, signal: running }) => {
    const disk = await readDisk(snapshot.id, device, services.host, running);
    const blocks = deviceSource(device.path, device.size);
    await archiveFrom({ ...migration, signal: running }, { source, blocks, disk, proof }, onComplete);
  });
}

interface Origin {
  source: Source;
  blocks: PointSource;
  disk: Disk;
  proof: DeviceProof | null;
}

/** Number of parents that are tried. A parent that `expire` marks meanwhile cannot be continued. */
const MAX_PARENTS = 3;

async function archiveFrom(migration: Migration, origin: Origin, onComplete: OnComplete): Promise<void> {
  for (let tried = 0; ; tried++) {
    await removeUnfinished(migration);
    const choice = tried < MAX_PARENTS ? await chooseParent(migration) : { parent: null, reason: MARKED_AGAIN };
    const { etag, validation } = await storePoint(migration, origin, choice);
    const problem = choice.parent && (await withdrawalFrom(choice.parent.found, migration));
    if (problem === null) return onComplete(validation);
    await withdraw(migration, etag, problem);
  }
}

const MARKED_AGAIN = 'older points were marked for removal while they were continued';

/**
 * `expire` may have marked the parent before it could see the new manifest. It then does not know what the new point needs.
 * @returns why the new point must be withdrawn, as a clause; `null` if it is safe.
 */
async function withdrawalFrom({ key, content }: FoundPoint, { services, signal }: Migration): Promise<string | null> {
  const { id } = content.snapshot;
  const { point } = await readManifest(key, id, services.store, signal);
  if (!point) return `the archive of its parent ${id} was removed`;
  return point.content.expiry ? `its parent ${id} was marked for removal` : null;
}

/** @param etag of the manifest, which this run has stored. */
async function withdraw(migration: Migration, etag: string, reason: string): Promise<void> {
  const { snapshot, services, signal, claim } = migration;
  claim.confirm();
  await services.store.removeIf(manifestKey(archiveName(migration)), etag, { signal });
  services.host.notify({ code: 'point.withdrawn', snapshot: snapshot.id, reason });
}

async function storePoint(migration: Migration, origin: Origin, choice: ParentChoice): Promise<CommittedPoint> {
  const { snapshot, settings, services, signal, claim } = migration;
  const { changes, how, reason } = await findChanges(migration, origin, choice);
  services.host.notify({
    code: 'point.planned',
    snapshot: snapshot.id,
    how,
    reason,
    parent: choice.parent?.found.content.snapshot.id ?? null,
    blocks: changes.stored.length,
    bytes: changes.stored.length * BLOCK_BYTES,
  });
  assertListable(snapshot.id, changes.stored.length);
  const locked = { ...migration, lock: lockFor(choice, migration) };
  const attempt = randomBytes(4).toString('hex');
  const name = { ...archiveName(migration), attempt, cipher: cipherOf(settings.encryption) };
  const recorded = await storePacks(locked, name, origin.blocks, changes.stored);
  signal.throwIfAborted();
  claim.confirm();
  const draft: PointDraft = { ...origin, name, how, reason, parent: choice.parent, changes, recorded };
  return commitPoint(locked, draft);
}

/** All objects of a chain have the same lock, so that no lock is ever extended. */
const lockFor = ({ parent }: ParentChoice, { lockTerms }: Migration): ObjectLock | null =>
  parent ? chainLock(parent.found.content.point.chain) : lockTerms && lockOfChain(lockTerms);

/** @throws SnapError `NOT_SUPPORTED_HERE` if the block list would be too long to be read again. */
function assertListable(id: string, blocks: number): void {
  if (blocks <= MAX_LISTED_BLOCKS) return;
  const [data, most] = [blocks, MAX_LISTED_BLOCKS].map((count) => formatBytes(count * BLOCK_BYTES));
  throw new SnapError('NOT_SUPPORTED_HERE', `${id} has ${data} to store; an incremental archive can store ${most}`, {
    hint: 'archive the snapshot with --dd instead of --incremental',
  });
}

type Found = Pick<PointDraft, 'how' | 'reason' | 'changes'>;

async function findChanges(migration: Migration, { blocks }: Origin, choice: ParentChoice): Promise<Found> {
  const { snapshot, services, signal } = migration;
  if (choice.parent === null)
    return { how: 'base', reason: choice.reason, changes: await changesOfBase(blocks, signal) };
  const { found, opened } = choice.parent;
  const compare = async (reason: string): Promise<Found> => {
    const changes = await changesByHash(opened.map, opened.table, blocks, signal);
    return { how: 'hashes', reason, changes };
  };
  if (!blocks.written) return compare('the blocks are read from a volume');
  try {
    const changed = services.blocks.changed(found.content.snapshot.id, snapshot.id, { signal });
    const changes: Changes = await changesByEbs(opened.map, blocks.diskBytes, changed, blocks.written(signal));
    return { how: 'changed-blocks', reason: null, changes };
  } catch (thrown) {
    const failure = failureOfOne(thrown);
    if (!isIncomparable(failure)) throw failure;
    return compare(failure.message);
  }
}

/** Whether EBS cannot, or may not, tell the changed blocks. */
const isIncomparable = ({ code }: SnapError): boolean => code === 'SNAPSHOT_UNUSABLE' || code === 'ACCESS_DENIED';
