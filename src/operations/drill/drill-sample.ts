/** Archives chosen by lot: anybody who knows the seed chooses the same ones. */
import { createHash } from 'node:crypto';
import { claimFolder } from '../../archive/claim.ts';
import type { DrillReport } from '../../events.ts';
import { isUnfinished } from '../reading/bucket/origin.ts';
import { archivesIn, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import { findArchived } from '../thaw/archived-objects.ts';

export interface DrillSample {
  chosen: FoundArchive[];
  population: DrillReport['population'];
}

interface Lot {
  rank: string;
  found: FoundArchive;
}

/** Each archive has a lot that only seed and snapshot decide; the smallest ones win. */
export async function chooseSample(
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<DrillSample> {
  const { sample, seed, prefix } = settings;
  const claims = new Set(await services.store.list(claimFolder(prefix), { signal }));
  const population = { found: 0, incomplete: 0, archived: 0 };
  const [open, archived] = [new SmallestLots(sample), new SmallestLots(sample)];
  for await (const found of archivesIn(settings, services, signal)) {
    population.found++;
    const hasClaim = claims.has(`${claimFolder(prefix)}${found.id}.json`);
    if (found.data.length === 0 || (isUnfinished(found, hasClaim) && !settings.withoutManifest)) {
      population.incomplete++;
      continue;
    }
    const lot = { rank: createHash('sha256').update(`${seed}:${found.id}`).digest('hex'), found };
    if (settings.thaw === null && isInArchiveClass(found)) archived.add(lot);
    else open.add(lot);
  }
  for (const lot of archived.lots) if (await isThawed(lot.found, services, signal)) open.add(lot);
  population.archived = archived.count - archived.lots.filter((lot) => open.lots.includes(lot)).length;
  return { chosen: open.lots.map(({ found }) => found), population };
}

const isInArchiveClass = ({ data }: FoundArchive): boolean =>
  data.some(({ storageClass }) => storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE');

async function isThawed({ data }: FoundArchive, { store }: Services, signal: AbortSignal): Promise<boolean> {
  const keys = data.map(({ key }) => key);
  const { frozen, thawing } = await findArchived(keys, store, signal);
  return frozen.length + thawing.length === 0;
}

/** So many of the lots that were added, in order. */
class SmallestLots {
  readonly lots: Lot[] = [];
  count = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  add(lot: Lot): void {
    this.count++;
    const place = this.lots.findIndex(({ rank }) => lot.rank < rank);
    this.lots.splice(place < 0 ? this.lots.length : place, 0, lot);
    this.lots.length = Math.min(this.lots.length, this.#most);
  }
}
