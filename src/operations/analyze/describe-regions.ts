/** What EC2 knows of the snapshots on a bill, region by region, at the same time. */
import type { Image } from '../../cloud/inventory.ts';
import type { Snapshot, Volume } from '../../cloud/ports.ts';
import type { AnalysisWarning } from '../../costs/analysis.ts';
import { SnapError } from '../../errors.ts';
import { inParallel } from '../../lib/parallel.ts';
import type { AnalyzeServices } from '../shared/services.ts';

/** A region, as EC2 described it. */
export interface KnownRegion {
  snapshots: Map<string, Snapshot>;
  volumes: Map<string, Volume>;
  /** Ids of images, by snapshot. */
  images: Map<string, string[]>;
}

export interface Described {
  /** Only regions that could be asked. */
  regions: Map<string, KnownRegion>;
  warnings: AnalysisWarning[];
}

const CONCURRENCY = 8;

/** @param accounts by region. A region that cannot be asked is a warning: the bill alone says a lot. */
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
      described.warnings.push(notAsked('region-not-asked', `EC2 in ${region}`, error));
    }
  });
  return described;
}

/** Who may not list images may know of no image; that a snapshot is free to be deleted must not be concluded from it. */
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
    warnings.push(notAsked('images-not-asked', `Images in ${region}`, error));
    return [];
  }
}

function notAsked(code: string, what: string, error: unknown): AnalysisWarning {
  if (!(error instanceof SnapError) || error.code === 'BUG') throw error;
  return { code, text: `${what} could not be asked: ${error.message}` };
}

function bySnapshot(images: readonly Image[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, snapshotIds } of images) {
    for (const snapshot of new Set(snapshotIds)) found.set(snapshot, [...(found.get(snapshot) ?? []), id]);
  }
  return found;
}
