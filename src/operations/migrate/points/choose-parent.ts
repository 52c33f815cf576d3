/** Chooses the point whose map a new point continues, or decides that the new point is a base. */
import { cipherOf } from '../../../archive/cipher.ts';
import type { ArchiveName } from '../../../archive/key.ts';
import { chainLock, type PointManifest } from '../../../archive/points/point-manifest.ts';
import { MAX_GENERATIONS } from '../../../archive/points/point-map.ts';
import { CHAIN_RULES } from '../../../costs/archiving/chain-rules.ts';
import type { SnapError } from '../../../errors.ts';
import { isCopyVolume } from '../../../lib/aws-names.ts';
import { failureOfOne } from '../../../lib/failure-of-one.ts';
import { readManifest } from '../../reading/find-archive.ts';
import type { FoundPoint } from '../../reading/point/found-point.ts';
import { type OpenPoint, openPoint } from '../../reading/point/open-point.ts';
import { changeOfRecipients } from '../change-of-recipients.ts';
import { obstacleToJoining } from '../locks.ts';
import { archiveName, type Migration } from '../migration.ts';
import { missingPack, unlockedIn } from './missing-objects.ts';
import { manifestsOfVolume, type VolumeManifest } from './volume-manifests.ts';

export interface Parent {
  readonly found: FoundPoint;
  readonly opened: OpenPoint;
}

/** Either the parent, or why there is none. */
export type ParentChoice = { parent: Parent; reason: null } | { parent: null; reason: string };

/**
 * Takes the latest point of the volume that is older than the snapshot and is not going to be removed. Its map, its block lists and the packs that it
 * needs must be in the bucket as they were stored.
 */
export async function chooseParent(migration: Migration): Promise<ParentChoice> {
  const name = archiveName(migration);
  if (isCopyVolume(name.volumeId)) return { parent: null, reason: 'EC2 does not show the volume of a copied snapshot' };
  const candidates = await olderManifests(name, migration);
  for (const candidate of candidates) {
    const found = await findOlder(candidate, migration);
    if (found === null) continue;
    if (typeof found === 'string') return { parent: null, reason: found };
    const reason =
      reasonForBase(found.content, migration) ??
      (await changeOfKeys(found.content, migration)) ??
      (await obstacleTo(found, migration));
    return typeof reason === 'string' ? { parent: null, reason } : { parent: reason, reason: null };
  }
  return { parent: null, reason: 'there is no older point of the volume' };
}

/** The manifests of the volume's older archives, the latest first. */
async function olderManifests(name: ArchiveName, migration: Migration): Promise<VolumeManifest[]> {
  const older = (await manifestsOfVolume(name, migration)).filter(({ isOlder }) => isOlder);
  return older.sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
}

/** @returns `null` for an archive that is no point; why the point cannot be used, as a clause. */
async function findOlder(
  { key, snapshotId: id }: VolumeManifest,
  { services, signal }: Migration,
): Promise<FoundPoint | string | null> {
  try {
    const { point } = await readManifest(key, id, services.store, signal);
    // Its packs may be removed before the new point needs them.
    return point?.content.expiry ? null : point;
  } catch (thrown) {
    return `the manifest of ${id} cannot be used: ${lastingFailure(thrown).message}`;
  }
}

const { maxDeltas, maxBaseDays } = CHAIN_RULES;

/** Milliseconds after which a chain gets a new base. */
const MAX_AGE = maxBaseDays * 24 * 60 * 60 * 1000;

/** @returns why the point must be a base, although it has an older point; `null` if nothing requires it. */
function reasonForBase(
  { snapshot, point, differedAt }: PointManifest,
  { settings, snapshot: own, lockTerms }: Migration,
): string | null {
  const { baseEvery } = settings.incremental ?? { baseEvery: null };
  const { baseBytes, deltaBytes } = point.chain;
  if (differedAt !== undefined) return `${snapshot.id} differed from its snapshot on ${differedAt}`;
  if (point.storageClass !== settings.storageClass)
    return `the packs of ${snapshot.id} are stored as ${point.storageClass}, not as ${settings.storageClass}`;
  if (point.cipher !== cipherOf(settings.encryption)) return `the encryption of ${snapshot.id} is ${point.cipher}`;
  const unjoinable = obstacleToJoining(chainLock(point.chain), lockTerms);
  if (unjoinable !== null) return unjoinable;
  if (baseEvery !== null && point.depth + 1 >= baseEvery) return `every ${baseEvery} points begin with a base`;
  if (deltaBytes > maxDeltas * baseBytes)
    return `the points since the base have stored more than ${maxDeltas} times its bytes`;
  if (own.startTime.getTime() - new Date(point.baseTime).getTime() > MAX_AGE) return 'the base is older than 12 months';
  if (point.generations.length >= MAX_GENERATIONS) return 'the map has too many generations';
  return null;
}

/** @returns why the recipients need a new base; `null` if they are the same. */
async function changeOfKeys(
  { snapshot, sealed }: PointManifest,
  { settings, signal }: Migration,
): Promise<string | null> {
  const change = await changeOfRecipients(sealed, settings, signal);
  return change && `the recipients of ${snapshot.id} are others: ${change}`;
}

/** @returns the parent; why it cannot be continued, as a clause. @throws SnapError errors that another run may not have. */
async function obstacleTo(found: FoundPoint, { services, settings, signal }: Migration): Promise<Parent | string> {
  const { id } = found.content.snapshot;
  try {
    const check = { ...services, signal, streams: settings.uploadStreams, sessionKey: null };
    const opened = await openPoint(found, check);
    const missing = await missingPack(opened, check);
    if (missing !== null) return `${id} needs a pack, but ${missing}`;
    const unlocked = await unlockedIn(opened, check);
    return unlocked === null ? { found, opened } : `${id} needs an object, but ${unlocked}`;
  } catch (thrown) {
    return `${id} cannot be continued: ${lastingFailure(thrown).message}`;
  }
}

/** The codes of errors that every later run would have, too. A new base costs too much to be the answer to others. */
const LASTING = ['MANIFEST', 'DIFFERS', 'GPG_KEY', 'OBJECT_ARCHIVED', 'NOT_FOUND'];

/** @throws the error itself if it may pass. */
function lastingFailure(thrown: unknown): SnapError {
  const failure = failureOfOne(thrown);
  if (!LASTING.includes(failure.code)) throw failure;
  return failure;
}
