/** The compression ratio: given, assumed, or measured from the manifests of existing archives. */
import type { Manifest } from '../../archive/manifest.ts';
import type { AnalysisWarning, AssumedCompression, MeasuredRatio } from '../../costs/analysis.ts';
import { SnapError } from '../../errors.ts';
import { inParallel } from '../../lib/parallel.ts';
import { sum } from '../../lib/sum.ts';
import { hasAllData } from '../reading/bucket/archive-state.ts';
import { manifestOf } from '../reading/bucket/archive-tags.ts';
import { archivesIn, batches, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import type { AnyManifest } from '../reading/find-archive.ts';
import type { AnalyzeServices } from '../shared/services.ts';
import type { AnalyzeSettings, RatioChoice } from '../shared/settings/analyze.ts';

export interface KnownRatios {
  compression: AssumedCompression;
  /** The ratios of volumes that have archives, by volume id. */
  byVolume: ReadonlyMap<string, MeasuredRatio>;
  warnings: AnalysisWarning[];
}

/** @throws SnapError `USAGE` if no archive can be measured; `BUCKET`, `ACCESS_DENIED` and other errors of S3. */
export async function ratiosFor(
  { ratio }: Pick<AnalyzeSettings, 'ratio'>,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<KnownRatios> {
  if (ratio.is === 'measured') return measured(ratio, services, signal);
  const { is: compressionIs, compression } = ratio;
  return {
    compression: { compression, compressionIs, measuredOn: null },
    byVolume: new Map(),
    warnings: [],
  };
}

type Place = Extract<RatioChoice, { is: 'measured' }>;

async function measured(place: Place, services: AnalyzeServices, signal: AbortSignal): Promise<KnownRatios> {
  const { bucket, prefix } = place;
  const found = await measureAll(place, services, signal);
  const sizes = found.filter((one) => typeof one !== 'string');
  const obstacles = found.filter((one) => typeof one === 'string');
  const total = ratioOf(sizes);
  if (total === null) throw nothingMeasured(place, obstacles);
  const { compression, archives } = total;
  services.host.notify({ code: 'ratio.measured', bucket, prefix, compression, archives, leftOut: obstacles.length });
  return {
    compression: { compression, compressionIs: 'measured', measuredOn: { bucket, prefix, archives } },
    byVolume: ratiosByVolume(sizes),
    warnings: obstacles.length === 0 ? [] : [notMeasured(place, found.length, obstacles)],
  };
}

const nameOf = ({ bucket, prefix }: Place): string => `s3://${bucket}/${prefix}`;

function nothingMeasured(place: Place, obstacles: readonly string[]): SnapError {
  const what =
    obstacles.length === 0
      ? `there are no archives in ${nameOf(place)}`
      : `no archive in ${nameOf(place)} can be measured: ${counted(obstacles)}`;
  return new SnapError('USAGE', what, {
    hint: 'check --ratio-from and --prefix, or specify a compression ratio with --ratio',
  });
}

const notMeasured = (place: Place, archives: number, obstacles: readonly string[]): AnalysisWarning => ({
  code: 'archives-not-measured',
  text: `${obstacles.length} of ${archives} archives in ${nameOf(place)} could not be measured: ${counted(obstacles)}`,
});

/** For example `incomplete (1), no manifest (2)`. */
const counted = (obstacles: readonly string[]): string =>
  [...Map.groupBy(obstacles, (obstacle) => obstacle)]
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([obstacle, { length }]) => `${obstacle} (${length})`)
    .join(', ');

function ratiosByVolume(archives: readonly Sizes[]): Map<string, MeasuredRatio> {
  const ratios = [...Map.groupBy(archives, ({ volumeId }) => volumeId)].flatMap(([volume, own]) => {
    const ratio = ratioOf(own);
    return ratio === null ? [] : ([[volume, ratio]] as const);
  });
  return new Map(ratios);
}

interface Sizes {
  volumeId: string;
  dataBytes: number;
  storedBytes: number;
}

function ratioOf(archives: readonly Sizes[]): MeasuredRatio | null {
  const data = sum(archives.map(({ dataBytes }) => dataBytes));
  const stored = sum(archives.map(({ storedBytes }) => storedBytes));
  return data > 0 && stored > 0 ? { compression: data / stored, archives: archives.length } : null;
}

/** Maximum number of manifests that are read at the same time. */
const CONCURRENCY = 16;

/** @returns the sizes of each archive, or the reason why it cannot be measured. */
async function measureAll(
  { bucket, prefix }: Place,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<(Sizes | string)[]> {
  const reading = { store: services.bucket(bucket), host: services.host };
  const filter = { prefix, volumes: [], snapshots: [], since: null, until: null };
  const all: (Sizes | string)[] = [];
  for await (const batch of batches(archivesIn(filter, reading, signal))) {
    await inParallel(batch, CONCURRENCY, signal, async (found, working) => {
      const known = await manifestOf(found, reading, working);
      all.push(known === 'unreadable' ? UNREADABLE : sizesOf(found, known));
    });
  }
  return all;
}

const UNREADABLE = 'unreadable manifest';

function sizesOf({ volumeId, data }: FoundArchive, known: AnyManifest): Sizes | string {
  if (known.point) return 'incremental archive';
  const manifest = known.manifest?.content;
  if (!manifest) return 'no manifest';
  if (!hasAllData(data, manifest.objects)) return 'incomplete';
  const dataBytes = dataBytesOf(manifest);
  if (dataBytes === null) return 'image without a record of the written bytes';
  return { volumeId, dataBytes, storedBytes: sum(manifest.objects.map(({ storedBytes }) => storedBytes)) };
}

/**
 * The savings are computed from the data that EBS stores. A tar contains at most that: the files. An image contains the
 * whole disk, so the bytes that were never written must not count.
 */
function dataBytesOf({ snapshot: { dataBytes }, objects }: Manifest): number | null {
  const plain = sum(objects.map(({ plainBytes }) => plainBytes));
  if (typeof dataBytes === 'number') return Math.min(plain, dataBytes);
  return objects.every(({ layout }) => layout === 'tar') ? plain : null;
}
