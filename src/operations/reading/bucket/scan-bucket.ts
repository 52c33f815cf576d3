/** Finds the archives in a bucket from a listing of names, sizes and storage classes, without reading any object. */
import { parseAnyKey, parseGenerationKey, parseSmallKey } from '../../../archive/key.ts';
import type { ListedObject } from '../../../cloud/ports.ts';
import type { Services } from '../../shared/services.ts';
import type { ArchiveFilter } from '../../shared/settings/archive-filter.ts';

export interface FoundArchive {
  id: string;
  volumeId: string;
  startTime: Date;
  /** Data objects; for a point, its own packs. */
  data: ListedObject[];
  /** Indexes; for a point, its map and its block list. */
  indexes: ListedObject[];
  manifestKey: string | null;
  smallBytes: number;
}

/** Yields archives while the listing arrives. Keys begin with volume, start time and snapshot, so archives are contiguous. */
export async function* archivesIn(
  filter: ArchiveFilter,
  { store }: { store: Pick<Services['store'], 'objects'> },
  signal: AbortSignal,
): AsyncGenerator<FoundArchive> {
  for (const prefix of prefixesOf(filter)) {
    let current: FoundArchive | null = null;
    for await (const object of store.objects(prefix, { signal })) {
      const name = parseAnyKey(object.key);
      if (!name || !isWanted(name, filter)) continue;
      if (current && current.id !== name.snapshotId) {
        yield current;
        current = null;
      }
      current ??= {
        id: name.snapshotId,
        volumeId: name.volumeId,
        startTime: name.startTime,
        data: [],
        indexes: [],
        manifestKey: null,
        smallBytes: 0,
      };
      add(object, current);
    }
    if (current) yield current;
  }
}

const prefixesOf = ({ prefix, volumes }: ArchiveFilter): string[] =>
  volumes.length === 0 ? [prefix] : volumes.map((volume) => `${prefix}${volume}/`);

function isWanted(
  { prefix, snapshotId, startTime }: { prefix: string; snapshotId: string; startTime: Date },
  filter: ArchiveFilter,
): boolean {
  if (prefix !== filter.prefix) return false;
  if (filter.snapshots.length > 0 && !filter.snapshots.includes(snapshotId)) return false;
  return (!filter.since || startTime >= filter.since) && (!filter.until || startTime < filter.until);
}

function add(object: ListedObject, archive: FoundArchive): void {
  const what = (parseSmallKey(object.key) ?? parseGenerationKey(object.key))?.what ?? 'data';
  if (what === 'data' || what === 'pack') archive.data.push(object);
  else archive.smallBytes += object.bytes;
  if (what === 'index' || what === 'map' || what === 'blocks') archive.indexes.push(object);
  if (what === 'manifest') archive.manifestKey = object.key;
}

/** The maximum number of ids in one call of DescribeSnapshots. */
const BATCH = 200;

export async function* batches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
