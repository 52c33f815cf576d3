/** Chooses the point whose map a new point continues, or decides that the new point is a base. */
import { cipherOf } from '../../../archive/cipher.ts';
import { type ArchiveName, parseSmallKey } from '../../../archive/key.ts';
import type { PointManifest } from '../../../archive/points/point-manifest.ts';
import { MAX_GENERATIONS } from '../../../archive/points/point-map.ts';
import { failureOfOne } from '../../../lib/failure-of-one.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { readManifest } from '../../reading/find-archive.ts';
import type { FoundPoint } from '../../reading/point/found-point.ts';
import { neededPacks } from '../../reading/point/needed-packs.ts';
import { type OpenPoint, openPoint } from '../../reading/point/open-point.ts';
import { archiveName, type Migration } from '../migration.ts';

export interface Parent {
  readonly found: FoundPoint;
  readonly opened: OpenPoint;
}

/** Either the parent, or why there is none. */
export type ParentChoice = { parent: Parent; reason: null } | { parent: null; reason: string };

/**
 * Takes the latest point of the volume that is older than the snapshot. Its map, its block lists and the packs that it
 * needs must be in the bucket as they were stored.
 */
export async function chooseParent(migration: Migration): Promise<ParentChoice> {
  const name = archiveName(migration);
  const candidates = await olderManifests(name, migration);
  for (const key of candidates) {
    const found = await findOlder(key, migration);
    if (found === null) continue;
    if (typeof found === 'string') return { parent: null, reason: found };
    const reason = reasonForBase(found.content, migration) ?? (await obstacleTo(found, migration));
    return typeof reason === 'string' ? { parent: null, reason } : { parent: reason, reason: null };
  }
  return { parent: null, reason: 'there is no older point of the volume' };
}

/** The manifests of the volume's older archives, the latest first. */
async function olderManifests({ prefix, volumeId, startTime }: ArchiveName, migration: Migration): Promise<string[]> {
  const { store } = migration.services;
  const keys = await store.list(`${prefix}${volumeId}/`, { signal: migration.signal });
  const older = keys.flatMap((key) => {
    const parsed = parseSmallKey(key);
    const isOlder = parsed?.what === 'manifest' && parsed.prefix === prefix && parsed.startTime < startTime;
    return isOlder ? [{ key, time: parsed.startTime.getTime() }] : [];
  });
  return older.sort((a, b) => b.time - a.time).map(({ key }) => key);
}

/** @returns `null` for an archive that is no point; why the point cannot be used, as a clause. */
async function findOlder(key: string, { services, signal }: Migration): Promise<FoundPoint | string | null> {
  const id = parseSmallKey(key)?.snapshotId ?? '';
  try {
    return (await readManifest(key, id, services.store, signal)).point;
  } catch (thrown) {
    return `the manifest of ${id} cannot be used: ${failureOfOne(thrown).message}`;
  }
}

/** Milliseconds after which a chain gets a new base. */
const MAX_AGE = 365 * 24 * 60 * 60 * 1000;

/** A chain gets a new base when its points have stored more than this many times the bytes of the base. */
const MAX_DELTAS = 2;

/** @returns why the point must be a base, although it has an older point; `null` if nothing requires it. */
function reasonForBase({ snapshot, point }: PointManifest, { settings, snapshot: own }: Migration): string | null {
  const { baseEvery } = settings.incremental ?? { baseEvery: null };
  const { baseBytes, deltaBytes } = point.chain;
  if (point.storageClass !== settings.storageClass)
    return `the packs of ${snapshot.id} are stored as ${point.storageClass}, not as ${settings.storageClass}`;
  if (point.cipher !== cipherOf(settings.encryption)) return `the encryption of ${snapshot.id} is ${point.cipher}`;
  if (baseEvery !== null && point.depth + 1 >= baseEvery) return `every ${baseEvery} points begin with a base`;
  if (deltaBytes > MAX_DELTAS * baseBytes)
    return `the points since the base have stored more than ${MAX_DELTAS} times its bytes`;
  if (own.startTime.getTime() - new Date(point.baseTime).getTime() > MAX_AGE) return 'the base is older than 12 months';
  if (point.generations.length >= MAX_GENERATIONS) return 'the map has too many generations';
  return null;
}

/** Maximum number of packs that are checked at the same time. */
const CONCURRENCY = 16;

/** @returns the parent; why it cannot be continued, as a clause. */
async function obstacleTo(found: FoundPoint, { services, settings, signal }: Migration): Promise<Parent | string> {
  const { id } = found.content.snapshot;
  try {
    const check = { ...services, signal, streams: settings.uploadStreams, sessionKey: null };
    const opened = await openPoint(found, check);
    const damaged: string[] = [];
    await inParallel(neededPacks(opened), CONCURRENCY, signal, async ({ pack }, working) => {
      const head = await services.store.head(pack.key, { signal: working });
      if (head?.etag !== pack.etag || head.bytes !== pack.bytes) damaged.push(pack.key);
    });
    const [first] = damaged.sort();
    return first === undefined ? { found, opened } : `${first}, which ${id} needs, is missing or was replaced`;
  } catch (thrown) {
    return `${id} cannot be continued: ${failureOfOne(thrown).message}`;
  }
}
