/** Reads the archives of volumes, with their manifests. */
import type { ExpiryMark } from '../../archive/expiry/mark.ts';
import { attemptStem, parseGenerationKey } from '../../archive/key.ts';
import { lockInNote } from '../../archive/lock-note.ts';
import { chainLock, type PointFacts } from '../../archive/points/point-manifest.ts';
import type { ObjectLock } from '../../cloud/object-lock.ts';
import type { ListedObject } from '../../cloud/ports.ts';
import { sum } from '../../lib/sum.ts';
import { type ArchiveState, statesOf } from '../reading/bucket/archive-state.ts';
import { tagsIn } from '../reading/bucket/archive-tags.ts';
import { archivesIn, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { AnyManifest } from '../reading/find-archive.ts';
import type { Services } from '../shared/services.ts';
import type { ExpireSettings } from '../shared/settings/expire.ts';
import type { DatedArchive } from './keep-rules.ts';

/** An archive of a volume. Only what `expire` needs of its manifest is kept in memory. */
export interface LineageArchive extends DatedArchive {
  readonly volumeId: string;
  readonly state: ArchiveState;
  /** The key and the ETag of the manifest; `null` if there is none, or if it cannot be read. */
  readonly manifest: { readonly key: string; readonly etag: string } | null;
  readonly mark: ExpiryMark | null;
  /** Until when its objects are locked, according to the manifest; `null` if they were stored without a lock. */
  readonly lockedUntil: Date | null;
  /** The key of the block list of the generation that the point stored; `null` if it stored none. */
  readonly generation: string | null;
  /** The keys of the block lists of all generations that the point uses. */
  readonly uses: readonly string[];
  /** The objects that belong to the archive alone: those that the manifest of a full archive names, or the map of a point. */
  readonly own: readonly ListedObject[];
  /** The packs and the block list of the generation, which other points may use. */
  readonly shared: readonly ListedObject[];
  /** Whether these are all there, with their lengths. */
  readonly hasShared: boolean;
  /** Whether none of the objects that the manifest names was removed. */
  readonly isWhole: boolean;
  /** Objects of attempts to store the point that were interrupted. */
  readonly strays: readonly ListedObject[];
}

export interface ArchivesOfVolume {
  readonly volumeId: string;
  readonly archives: readonly LineageArchive[];
}

/** Yields the lineages of a bucket. Keys begin with the volume, so that only one of them is in memory. */
export async function* lineagesIn(
  settings: ExpireSettings,
  services: Services,
  signal: AbortSignal,
): AsyncGenerator<ArchivesOfVolume> {
  const { prefix, volumes } = settings;
  const filter = { prefix, volumes, snapshots: [], since: null, until: null };
  let found: FoundArchive[] = [];
  for await (const archive of archivesIn(filter, services, signal)) {
    if (found[0] && found[0].volumeId !== archive.volumeId) {
      yield await lineageOf(found, services, signal);
      found = [];
    }
    found.push(archive);
  }
  if (found.length > 0) yield await lineageOf(found, services, signal);
}

/** Lists the archives of one volume, and reads all of their manifests. */
export async function readLineage(
  volumeId: string,
  settings: ExpireSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ArchivesOfVolume> {
  for await (const lineage of lineagesIn({ ...settings, volumes: [volumeId] }, services, signal)) return lineage;
  return { volumeId, archives: [] };
}

async function lineageOf(archives: FoundArchive[], services: Services, signal: AbortSignal): Promise<ArchivesOfVolume> {
  const chosen = { archives, manifests: new Map(), unreadable: 0 };
  const judged = await statesOf(chosen, () => false, services, signal);
  return {
    volumeId: archives[0]?.volumeId ?? '',
    archives: judged.map(({ found, state, known }) => ({
      id: found.id,
      volumeId: found.volumeId,
      startTime: found.startTime,
      state,
      ...factsOf(known, found),
    })),
  };
}

type Facts = Omit<LineageArchive, 'id' | 'volumeId' | 'startTime' | 'state'>;

function factsOf(known: AnyManifest, { data, indexes }: FoundArchive): Facts {
  const objects = [...data, ...indexes];
  const { manifest, point } = known;
  const content = (manifest ?? point)?.content;
  const tags = content && tagsIn(content);
  const found = manifest ?? point;
  return {
    manifest: found && { key: found.key, etag: found.etag },
    mark: content?.expiry ?? null,
    lockedUntil: lockOf(known)?.until ?? null,
    hasTag: (wanted) => tags?.has(wanted) ?? false,
    ...(point ? partsOfPoint(point.content.point, objects) : partsOfWhole(manifest, objects)),
  };
}

const lockOf = ({ manifest, point }: AnyManifest): ObjectLock | null =>
  point ? chainLock(point.content.point.chain) : lockInNote(manifest?.content.lock);

type Parts = Pick<Facts, 'generation' | 'uses' | 'own' | 'shared' | 'hasShared' | 'isWhole' | 'strays'>;

function partsOfPoint({ map, own, generations }: PointFacts, objects: readonly ListedObject[]): Parts {
  const isMap = ({ key }: ListedObject) => parseGenerationKey(key)?.what === 'map';
  const ofAttempt = ({ key }: ListedObject) => attemptStem(key) === attemptStem(map.key);
  const shared = objects.filter((object) => ofAttempt(object) && !isMap(object));
  const maps = objects.filter((object) => ofAttempt(object) && isMap(object));
  const hasShared =
    shared.length === own.packs + (own.list ? 1 : 0) &&
    sum(shared.map(({ bytes }) => bytes)) === own.storedBytes + (own.list?.bytes ?? 0);
  return {
    generation: own.list?.key ?? null,
    uses: generations.map(({ blocks }) => blocks.key),
    own: maps,
    shared,
    hasShared,
    isWhole: hasShared && maps.length > 0,
    strays: objects.filter((object) => !ofAttempt(object) && parseGenerationKey(object.key) !== null),
  };
}

/** Objects that the manifest does not name are left alone, except for packs, which only points have. */
function partsOfWhole(manifest: AnyManifest['manifest'], objects: readonly ListedObject[]): Parts {
  const named = new Set(manifest?.content.objects.flatMap(({ key, index }) => (index ? [key, index.key] : [key])));
  const own = objects.filter(({ key }) => named.has(key));
  return {
    generation: null,
    uses: [],
    own,
    shared: [],
    hasShared: true,
    isWhole: own.length === named.size,
    strays: objects.filter(({ key }) => parseGenerationKey(key) !== null),
  };
}
