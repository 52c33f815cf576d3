/** The operation `list`: lists the archives in a bucket from the heads of their objects and their manifests. */
import { claimFolder } from '../../archive/claim.ts';
import { parseKey } from '../../archive/key.ts';
import type { RegionPrices } from '../../costs/price-types.ts';
import { storageMonth } from '../../costs/prices.ts';
import { EXIT, type ExitCode } from '../../errors.ts';
import type { ListedArchive } from '../../events.ts';
import { sumOrNull } from '../../lib/sum.ts';
import { type JudgedArchive, statesOf } from '../reading/bucket/archive-state.ts';
import { keepTagged } from '../reading/bucket/archive-tags.ts';
import { archivesIn, batches } from '../reading/bucket/scan-bucket.ts';
import { bucketPrices } from '../shared/bucket-prices.ts';
import type { Services } from '../shared/services.ts';
import type { ListSettings } from '../shared/settings/list.ts';
import { snapshotFinder } from './find-snapshots.ts';
import { summarizePoint } from './summarize-point.ts';

/**
 * Reports each archive once all of its objects are listed. Reads only manifests and, if archives are selected by tags, the
 * tags of objects.
 * @returns `EXIT.nothingToDo` if there is no archive, `EXIT.someFailed` if a manifest could not be read.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED`
 */
export async function list(settings: ListSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const { store, host } = services;
  const { prices, note } = await bucketPrices(services, signal);
  const claims = new Set(await store.list(claimFolder(settings.prefix), { signal }));
  const totals = { archives: 0, storedBytes: 0, dollarsMonth: 0 };
  let unreadable = 0;
  const snapshots = snapshotFinder(services, signal);
  for await (const batch of batches(archivesIn(settings, services, signal))) {
    const chosen = await keepTagged(batch, settings.tags, services, signal);
    unreadable += chosen.unreadable;
    const hasClaim = (id: string): boolean => claims.has(`${claimFolder(settings.prefix)}${id}.json`);
    const states = await statesOf(chosen, hasClaim, services, signal);
    const exists = await snapshots.find(states);
    for (const judged of states) {
      const { found, state } = judged;
      const archive = summary(judged, exists.get(found.id) ?? null, prices);
      if (state === 'unreadable-manifest') unreadable++;
      totals.archives++;
      totals.storedBytes += archive.storedBytes;
      totals.dollarsMonth += archive.dollarsMonth ?? 0;
      host.notify({ code: 'archive.listed', archive });
    }
  }
  host.notify({ code: 'list.finished', ...totals, priceNote: note });
  if (unreadable > 0) return EXIT.someFailed;
  return totals.archives === 0 ? EXIT.nothingToDo : EXIT.ok;
}

function summary(
  { found, state, known }: JudgedArchive,
  snapshotExists: boolean | null,
  prices: RegionPrices,
): ListedArchive {
  const { data } = found;
  const point = known.point?.content ?? null;
  // A point may store nothing but its map.
  const stored = point ? [...data, ...found.indexes] : data;
  const first = data[0] ? parseKey(data[0].key) : null;
  return {
    snapshot: found.id,
    volume: found.volumeId,
    startTime: found.startTime.toISOString(),
    state,
    layout: point?.layout ?? first?.layout ?? null,
    codec: point?.point.codec ?? first?.codec ?? null,
    cipher: point?.point.cipher ?? first?.cipher ?? null,
    objects: data.map(({ key, bytes, storageClass }) => ({ key, bytes, storageClass })),
    storedBytes: data.reduce((sum, { bytes }) => sum + bytes, 0) + found.smallBytes,
    storedAt: new Date(Math.max(0, ...stored.map(({ modifiedAt }) => modifiedAt.getTime()))).toISOString(),
    snapshotExists,
    dollarsMonth: sumOrNull(data.map((object) => storageMonth(object, prices))),
    point: point && summarizePoint(point),
  };
}
