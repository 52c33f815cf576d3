/** Reads the snapshots, volumes and images of several regions from EC2, at the same time. */
import type { Image } from '../../cloud/inventory.ts';
import type { Snapshot, Volume } from '../../cloud/ports.ts';
import type { AnalysisWarning } from '../../costs/analysis.ts';
import { SnapError } from '../../errors.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { AnalyzeServices } from '../shared/services.ts';

/** The data of EC2 about a region. */
export interface KnownRegion {
  snapshots: Map<string, Snapshot>;
  volumes: Map<string, Volume>;
  /** Ids of the images that use a snapshot, by snapshot. */
  images: Map<string, string[]>;
}

export interface Described {
  /** The regions that could be read. */
  regions: Map<string, KnownRegion>;
  warnings: AnalysisWarning[];
}

const CONCURRENCY = 8;

/**
 * A region that cannot be read becomes a warning, because the report alone is useful too.
 * @param accounts the owners of the snapshots, by region.
 */
export async function describeRegions(
  accounts: ReadonlyMap<string, readonly string[]>,
  { inventory, host }: AnalyzeServices,
  signal: AbortSignal,
): Promise<Described> {
  const described: Described = { regions: new Map(), warnings: [] };
  await inParallel([...accounts], CONCURRENCY, signal, async ([region, owners], either) => {
    const call = { signal: either };
    try {
      const [snapshots, volumes] = await Promise.all([
        inventory.snapshots(region, owners, call),
        inventory.volumes(region, call),
      ]);
      const images = await imagesIn(region, inventory, call, described.warnings);
      described.regions.set(region, {
        snapshots: new Map(snapshots.map((snapshot) => [snapshot.id, snapshot])),
        volumes: new Map(volumes.map((volume) => [volume.id, volume])),
        images: bySnapshot(images),
      });
      const counts = { snapshots: snapshots.length, volumes: volumes.length, images: images.length };
      host.notify({ code: 'region.described', region, ...counts });
    } catch (error) {
      signal.throwIfAborted();
      described.warnings.push(notRead('region-not-asked', `the snapshots and volumes in ${region}`, error));
    }
  });
  return described;
}

/** Without the permission to list images, a snapshot may look unused although an image needs it; so this is a warning. */
async function imagesIn(
  region: string,
  inventory: AnalyzeServices['inventory'],
  call: { signal: AbortSignal },
  warnings: AnalysisWarning[],
): Promise<Image[]> {
  try {
    return await inventory.images(region, call);
  } catch (error) {
    call.signal.throwIfAborted();
    warnings.push(notRead('images-not-asked', `the images in ${region}`, error));
    return [];
  }
}

function notRead(code: string, what: string, error: unknown): AnalysisWarning {
  if (!(error instanceof SnapError) || error.code === 'BUG') throw error;
  return { code, text: `could not read ${what} from EC2: ${error.message}` };
}

function bySnapshot(images: readonly Image[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, snapshotIds } of images) {
    for (const snapshot of new Set(snapshotIds)) found.set(snapshot, [...(found.get(snapshot) ?? []), id]);
  }
  return found;
}
