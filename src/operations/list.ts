/** `list`: the archives in a bucket, told from the names, sizes and classes of their objects alone. */
import { claimFolder } from '../archive/claim.ts';
import { parseKey, parseSmallKey } from '../archive/key.ts';
import type { ListedObject } from '../cloud/ports.ts';
import { pricesIn, type RegionPrices } from '../costs/prices.ts';
import { EXIT, type ExitCode, SnapError } from '../errors.ts';
import type { ListedArchive } from '../events.ts';
import { GiB } from '../lib/units.ts';
import type { ListSettings, Services } from './settings.ts';

/**
 * Shows each archive as soon as all of its objects have been listed; nothing of them is read.
 * @returns `EXIT.nothingToDo` when there is none.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED`
 */
export async function list(settings: ListSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const { store, host } = services;
  const prices = pricesIn(services.region);
  const claims = new Set(await store.list(claimFolder(settings.prefix), { signal }));
  const totals = { archives: 0, storedBytes: 0, dollarsMonth: 0 };
  for await (const batch of batches(archivesIn(settings, services, signal))) {
    const existing = await existingSnapshots(batch, services, signal);
    for (const found of batch) {
      const { id } = found;
      const hasClaim = claims.has(`${claimFolder(settings.prefix)}${id}.json`);
      const archive = summary(found, hasClaim, existing?.has(id) ?? null, prices);
      totals.archives++;
      totals.storedBytes += archive.storedBytes;
      totals.dollarsMonth += archive.dollarsMonth ?? 0;
      host.notify({ code: 'archive.listed', archive });
    }
  }
  host.notify({ code: 'list.finished', ...totals });
  return totals.archives === 0 ? EXIT.nothingToDo : EXIT.ok;
}

interface FoundArchive {
  id: string;
  volumeId: string;
  startTime: Date;
  data: ListedObject[];
  hasManifest: boolean;
  smallBytes: number;
}

/** Keys begin with the volume, the start time and the snapshot: what belongs together is listed together. */
async function* archivesIn(
  settings: ListSettings,
  { store }: Services,
  signal: AbortSignal,
): AsyncGenerator<FoundArchive> {
  for (const prefix of prefixesOf(settings)) {
    let current: FoundArchive | null = null;
    for await (const object of store.objects(prefix, { signal })) {
      const name = nameOf(object.key);
      if (!name || !isWanted(name, settings)) continue;
      if (current && current.id !== name.snapshotId) {
        yield current;
        current = null;
      }
      current ??= {
        id: name.snapshotId,
        volumeId: name.volumeId,
        startTime: name.startTime,
        data: [],
        hasManifest: false,
        smallBytes: 0,
      };
      add(object, current);
    }
    if (current) yield current;
  }
}

const prefixesOf = ({ prefix, volumes }: ListSettings): string[] =>
  volumes.length === 0 ? [prefix] : volumes.map((volume) => `${prefix}${volume}/`);

const nameOf = (key: string) => parseKey(key) ?? parseSmallKey(key);

function isWanted(
  { prefix, snapshotId, startTime }: { prefix: string; snapshotId: string; startTime: Date },
  settings: ListSettings,
): boolean {
  if (prefix !== settings.prefix) return false;
  if (settings.snapshots.length > 0 && !settings.snapshots.includes(snapshotId)) return false;
  return (!settings.since || startTime >= settings.since) && (!settings.until || startTime < settings.until);
}

function add(object: ListedObject, archive: FoundArchive): void {
  const small = parseSmallKey(object.key);
  if (!small) archive.data.push(object);
  else archive.smallBytes += object.bytes;
  archive.hasManifest ||= small?.what === 'manifest';
}

/** As many as DescribeSnapshots takes at once. */
const BATCH = 200;

async function* batches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** @returns `null` where EC2 may not be asked: the bucket alone is enough for a listing. */
async function existingSnapshots(
  batch: readonly FoundArchive[],
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<Set<string> | null> {
  try {
    const found = await snapshots.byId([...new Set(batch.map(({ id }) => id))], { signal });
    return new Set(found.map(({ id }) => id));
  } catch (error) {
    if (error instanceof SnapError && ['ACCESS_DENIED', 'CREDENTIALS'].includes(error.code)) return null;
    throw error;
  }
}

function summary(
  found: FoundArchive,
  hasClaim: boolean,
  snapshotExists: boolean | null,
  { s3 }: RegionPrices,
): ListedArchive {
  const { data, hasManifest } = found;
  const first = data[0] ? parseKey(data[0].key) : null;
  const prices = data.map(({ storageClass, bytes }) => {
    const price = s3[storageClass]?.gbMonth;
    return price === undefined ? null : (price * bytes) / GiB;
  });
  return {
    snapshot: found.id,
    volume: found.volumeId,
    startTime: found.startTime.toISOString(),
    state: stateOf(data.length, hasManifest, hasClaim),
    layout: first?.layout ?? null,
    codec: first?.codec ?? null,
    cipher: first?.cipher ?? null,
    objects: data.map(({ key, bytes, storageClass }) => ({ key, bytes, storageClass })),
    storedBytes: data.reduce((sum, { bytes }) => sum + bytes, 0) + found.smallBytes,
    storedAt: new Date(Math.max(0, ...data.map(({ modifiedAt }) => modifiedAt.getTime()))).toISOString(),
    snapshotExists,
    dollarsMonth: prices.includes(null) ? null : prices.reduce<number>((sum, price) => sum + (price ?? 0), 0),
  };
}

/** Version 0 wrote no manifests; what it broke off cannot be told from what it completed. */
function stateOf(objects: number, hasManifest: boolean, hasClaim: boolean): ListedArchive['state'] {
  if (hasManifest) return objects > 0 ? 'complete' : 'without-data';
  return hasClaim ? 'unfinished' : 'without-manifest';
}
