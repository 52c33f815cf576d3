/** Selects a random sample of archives. The same seed selects the same archives. */
import { createHash } from 'node:crypto';
import { claimFolder } from '../../archive/claim.ts';
import { parseGenerationKey } from '../../archive/key.ts';
import type { DrillReport } from '../../events.ts';
import { isCopyVolume } from '../../lib/aws-names.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { isUnfinished } from '../reading/bucket/origin.ts';
import { archivesIn, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import { findArchived } from '../thaw/archived-objects.ts';
import { isPointIn, keysToRead } from './keys-to-read.ts';
import { type Candidate, LowestRanks } from './lowest-ranks.ts';

export interface DrillSample {
  chosen: FoundArchive[];
  population: DrillReport['population'];
}

/**
 * Ranks the archives by a hash of seed and snapshot id, and selects those with the lowest ranks. If points of a volume are
 * selected, its newest point is one of them.
 */
export async function chooseSample(
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<DrillSample> {
  const { sample, seed, prefix, thaw } = settings;
  const claims = new Set(await services.store.list(claimFolder(prefix), { signal }));
  const population = { found: 0, incomplete: 0, incremental: 0, archived: 0 };
  const [readable, points, archived] = [new LowestRanks(sample), new LowestRanks(sample), new LowestRanks(sample)];
  for await (const found of archivesIn(settings, services, signal)) {
    population.found++;
    const isPoint = isPointIn(found);
    if (isPoint) population.incremental++;
    if (isIncomplete(found, claims.has(`${claimFolder(prefix)}${found.id}.json`), settings)) {
      population.incomplete++;
      continue;
    }
    const rank = createHash('sha256').update(`${seed}:${found.id}`).digest('hex');
    const unthawed = isInArchiveClass(found) ? archived : isPoint ? points : readable;
    (thaw ? readable : unthawed).add({ rank, found }, isPoint ? lineageOf(found) : null);
  }
  // The listing does not show the classes of the packs that a point shares with others.
  const shared = await readableOf(points.lowest, settings, services, signal);
  const thawed = await readableOf(archived.lowest, settings, services, signal);
  population.archived = points.lowest.length - shared.length + archived.count - thawed.length;
  for (const candidate of [...shared, ...thawed]) readable.add(candidate, null);
  return { chosen: readable.lowest.map(({ found }) => found), population };
}

/**
 * A point may have stored no packs itself. Without its manifest, it cannot be read; one that has expired has no map any
 * more.
 */
const isIncomplete = (found: FoundArchive, hasClaim: boolean, { withoutManifest }: DrillSettings): boolean =>
  isPointIn(found)
    ? found.manifestKey === null || !found.indexes.some(({ key }) => parseGenerationKey(key)?.what === 'map')
    : found.data.length === 0 || (isUnfinished(found, hasClaim) && !withoutManifest);

/** Copies have no volume in common, although EC2 shows the same id for all of them. */
const lineageOf = ({ id, volumeId }: FoundArchive): string => (isCopyVolume(volumeId) ? id : volumeId);

const isInArchiveClass = ({ data }: FoundArchive): boolean =>
  data.some(({ storageClass }) => storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE');

async function readableOf(
  candidates: readonly Candidate[],
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const readable: Candidate[] = [];
  for (const candidate of candidates)
    if (await isReadable(candidate.found, settings, services, signal)) readable.push(candidate);
  return readable;
}

/** An archive whose objects cannot be examined counts as readable, so that its drill fails and is reported. */
async function isReadable(
  found: FoundArchive,
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const keys = await keysToRead(found, settings, services, signal);
    const { frozen, thawing } = await findArchived(keys, services.store, signal);
    return frozen.length + thawing.length === 0;
  } catch (thrown) {
    failureOfOne(thrown);
    return true;
  }
}
