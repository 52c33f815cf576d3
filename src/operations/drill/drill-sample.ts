/** Selects a random sample of archives. The same seed selects the same archives. */
import { createHash } from 'node:crypto';
import { claimFolder } from '../../archive/claim.ts';
import { parseGenerationKey } from '../../archive/key.ts';
import type { DrillReport } from '../../events.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { isUnfinished } from '../reading/bucket/origin.ts';
import { archivesIn, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import { findArchived } from '../thaw/archived-objects.ts';

export interface DrillSample {
  chosen: FoundArchive[];
  population: DrillReport['population'];
}

interface Candidate {
  /** A hash of the seed and the snapshot id. */
  rank: string;
  found: FoundArchive;
}

/** Ranks the archives by a hash of seed and snapshot id, and selects those with the lowest ranks. */
export async function chooseSample(
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<DrillSample> {
  const { sample, seed, prefix } = settings;
  const claims = new Set(await services.store.list(claimFolder(prefix), { signal }));
  const population = { found: 0, incomplete: 0, incremental: 0, archived: 0 };
  const [readable, archived] = [new LowestRanks(sample), new LowestRanks(sample)];
  for await (const found of archivesIn(settings, services, signal)) {
    population.found++;
    if (isPointIn(found)) {
      population.incremental++;
      continue;
    }
    const hasClaim = claims.has(`${claimFolder(prefix)}${found.id}.json`);
    if (found.data.length === 0 || (isUnfinished(found, hasClaim) && !settings.withoutManifest)) {
      population.incomplete++;
      continue;
    }
    const candidate = { rank: createHash('sha256').update(`${seed}:${found.id}`).digest('hex'), found };
    if (settings.thaw === null && isInArchiveClass(found)) archived.add(candidate);
    else readable.add(candidate);
  }
  for (const candidate of archived.lowest)
    if (await isThawed(candidate.found, services, signal)) readable.add(candidate);
  population.archived = archived.count - archived.lowest.filter((one) => readable.lowest.includes(one)).length;
  return { chosen: readable.lowest.map(({ found }) => found), population };
}

/** Whether the objects are those of an incremental archive. Each has a map. */
const isPointIn = ({ indexes }: FoundArchive): boolean => indexes.some(({ key }) => parseGenerationKey(key) !== null);

const isInArchiveClass = ({ data }: FoundArchive): boolean =>
  data.some(({ storageClass }) => storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE');

/** An archive whose objects cannot be examined counts as thawed, so that its drill fails and is reported. */
async function isThawed({ data }: FoundArchive, { store }: Services, signal: AbortSignal): Promise<boolean> {
  const keys = data.map(({ key }) => key);
  try {
    const { frozen, thawing } = await findArchived(keys, store, signal);
    return frozen.length + thawing.length === 0;
  } catch (thrown) {
    failureOfOne(thrown);
    return true;
  }
}

/** Keeps the candidates with the lowest ranks, in order. */
class LowestRanks {
  readonly lowest: Candidate[] = [];
  /** Number of all candidates that were added. */
  count = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(candidate: Candidate): void {
    this.count++;
    const place = this.lowest.findIndex(({ rank }) => candidate.rank < rank);
    this.lowest.splice(place < 0 ? this.lowest.length : place, 0, candidate);
    this.lowest.length = Math.min(this.lowest.length, this.#limit);
  }
}
