/**
 * What is best done with each snapshot, and with the snapshots of each volume together.
 *
 * Pure: from what the bill and EC2 tell, and prices. Savings are what certainly stops being billed; where that cannot
 * be told, they are a bound and named so, and a bound that may turn out to be nothing is never called best.
 */
import type {
  Analysis,
  AnalysisWarning,
  Decision,
  RegionAnalysis,
  SnapshotAnalysis,
  VolumeAnalysis,
} from './analysis.ts';
import { type Plan, weigh } from './choices.ts';
import { compressionOf } from './compression.ts';
import { exactly, handedOn, type Lineage, type Link, type Range, remaining, sum } from './lineage.ts';
import type { Prices, RegionPrices } from './price-types.ts';
import { noteOn, pricesIn } from './prices.ts';
import { type Target, targetsIn, WEIGHED_CLASSES } from './targets.ts';

export interface DecideOptions {
  /** From when moving pays, `YYYY-MM-DD`. */
  today: string;
}

/** @returns the analysis with its decisions, the prices that they are of, and what there is to know of those. */
export function decide(analysis: Analysis, prices: Prices, options: DecideOptions): Analysis {
  const decided = analysis.regions.map((region) => decideRegion(region, analysis, prices, options));
  const { source, asOf, note } = prices;
  return {
    ...analysis,
    prices: { source, asOf, note },
    regions: decided.map(({ region }) => region),
    warnings: [...analysis.warnings, ...decided.flatMap(({ warnings }) => warnings)],
  };
}

/** What a volume is weighed by. */
interface Scale {
  prices: RegionPrices;
  targets: readonly Target[];
  today: string;
  keepMonths: number;
  /** GiB of snapshots of each volume that are billed to others, by volume, and of all. */
  foreign: ReadonlyMap<VolumeAnalysis, number>;
  allForeign: number;
}

function decideRegion(
  region: RegionAnalysis,
  { assumptions }: Analysis,
  all: Prices,
  options: DecideOptions,
): { region: RegionAnalysis; warnings: AnalysisWarning[] } {
  const { prices, warnings } = pricesFor(region, all);
  if (prices === null) return { region, warnings };
  const { keepMonths, reading } = assumptions;
  const foreign = new Map(region.volumes.map((volume) => [volume, foreignGiB(volume)]));
  const allForeign = sum([...foreign.values()]);
  const scaleFor = (volume: VolumeAnalysis): Scale => {
    const { compression } = compressionOf(volume, assumptions);
    const targets = targetsIn(prices, WEIGHED_CLASSES, { compression, reading });
    return { prices, targets, today: options.today, keepMonths, foreign, allForeign };
  };
  if (allForeign > 0) warnings.push(sharedLineage(region.region));
  const volumes = region.volumes.map((volume) => decideVolume(volume, scaleFor(volume)));
  return { region: { ...region, volumes }, warnings };
}

const sharedLineage = (region: string): AnalysisWarning => ({
  code: 'shared-lineage',
  text:
    `in ${region} there are snapshots of volumes that were made from other snapshots: those share data, so that ` +
    'deleting one may save less than its bill',
});

/**
 * Prices in another currency than the bill's are brought to it by what snapshots cost in both.
 * @returns `null` for prices where the bill does not tell what a snapshot costs: amounts of two currencies are never compared.
 */
function pricesFor(region: RegionAnalysis, all: Prices): { prices: RegionPrices | null; warnings: AnalysisWarning[] } {
  const prices = pricesIn(region.region, all);
  const note = noteOn(prices);
  const warnings = note === null ? [] : [{ code: 'prices-estimated', text: note }];
  if (region.currency === prices.currency) return { prices, warnings };
  const factor = currencyFactor(region, prices);
  const currencies = `the bill of ${region.region} is in ${region.currency}, prices are in ${prices.currency}`;
  if (factor === null) {
    const text = `${currencies}, and no snapshot in it has a cost to convert them by: no choice is weighed there`;
    return { prices: null, warnings: [...warnings, { code: 'currency-unknown', text }] };
  }
  const text = `${currencies}: they were multiplied by ${factor.toFixed(4)}, the ratio of what a GB-month of snapshots costs`;
  return { prices: scaled(prices, factor), warnings: [...warnings, { code: 'currency-scaled', text }] };
}

/** By snapshots in the standard tier, else by those in the archive tier. @returns `null` where none has a cost. */
function currencyFactor({ volumes }: RegionAnalysis, { snapshot: prices }: RegionPrices): number | null {
  const snapshots = volumes.flatMap((volume) => volume.snapshots);
  const standard = billedRate(snapshots.filter(isStandard));
  if (standard !== null && standard > 0) return standard / prices.gbMonth;
  const archive = billedRate(snapshots.filter((snapshot) => !isStandard(snapshot)));
  return archive !== null && archive > 0 ? archive / prices.archiveGbMonth : null;
}

/** Every number of the prices, multiplied. */
function scaled<T>(value: T, factor: number): T {
  if (typeof value === 'number') return (value * factor) as T;
  if (Array.isArray(value)) return value.map((each) => scaled(each, factor)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, scaled(each, factor)])) as T;
}

const isStandard = ({ tier }: SnapshotAnalysis): boolean => tier === 'standard';

/** What a GB-month of these snapshots costs by the bill. @returns `null` where they have no size. */
function billedRate(snapshots: readonly SnapshotAnalysis[]): number | null {
  const gib = sum(snapshots.map((snapshot) => snapshot.gib));
  return gib > 0 ? sum(snapshots.map(({ monthly }) => monthly)) / gib : null;
}

const COPIES = 'vol-ffffffff';

/** Differences below are those of days and of rounding. */
const NOISE = { share: 0.02, gib: 0.1 };

/** The first snapshot of a volume refers to more than it is billed for where the volume was made of a snapshot. */
function foreignGiB({ id, snapshots }: VolumeAnalysis): number {
  const first = snapshots.find(isStandard);
  if (!first || first.fullGiB === null || id === null || id === COPIES) return 0;
  const more = first.fullGiB - first.gib;
  return more > Math.max(NOISE.gib, NOISE.share * first.fullGiB) ? more : 0;
}

function decideVolume(volume: VolumeAnalysis, scale: Scale): VolumeAnalysis {
  const standard = volume.snapshots.filter(isStandard);
  const lineage = lineageOf(volume, standard, scale);
  const elsewhere = scale.allForeign - (scale.foreign.get(volume) ?? 0);
  const family: Family = { volume, standard, lineage, elsewhere, isGrowing: isGrowing(volume, standard, scale.today) };
  return {
    ...volume,
    snapshots: volume.snapshots.map((snapshot) => ({ ...snapshot, decision: decideSnapshot(snapshot, family, scale) })),
    decision: decideSet(family, scale),
  };
}

interface Family {
  volume: VolumeAnalysis;
  standard: readonly SnapshotAnalysis[];
  lineage: Lineage;
  /** GiB that snapshots of other volumes may need of these. */
  elsewhere: number;
  /** Whether further snapshots are likely: without the latest, the next one would be full. */
  isGrowing: boolean;
}

function lineageOf(volume: VolumeAnalysis, standard: readonly SnapshotAnalysis[], scale: Scale): Lineage {
  const isChain = volume.id !== null && volume.id !== COPIES;
  const known = scale.foreign.get(volume) ?? 0;
  return {
    links: standard.map((snapshot) => linkOf(snapshot, volume.sizeGiB)),
    foreign: standard[0]?.fullGiB === null ? (volume.sizeGiB ?? Number.POSITIVE_INFINITY) : known,
    isChain,
  };
}

function linkOf({ gib, fullGiB }: SnapshotAnalysis, sizeGiB: number | null): Link {
  if (fullGiB !== null) return { gib, full: exactly(Math.max(gib, fullGiB)) };
  return { gib, full: { least: gib, most: Math.max(gib, sizeGiB ?? Number.POSITIVE_INFINITY) } };
}

const GROWING_DAYS = 45;

function isGrowing({ isDeleted }: VolumeAnalysis, standard: readonly SnapshotAnalysis[], today: string): boolean {
  const latest = standard.at(-1)?.startedAt;
  if (isDeleted || !latest) return false;
  return Date.parse(today) - Date.parse(latest) < GROWING_DAYS * 86_400_000;
}

/** Why it has to stay as it is, or `null`. */
function obstacleOf({ tier, images }: SnapshotAnalysis): string | null {
  if (tier === 'archive') return 'it is in the archive tier already, and cannot be read before it is restored';
  if (images.length === 0) return null;
  const [first] = images;
  return `${images.length === 1 ? `image ${first} needs` : `${images.length} images such as ${first} need`} it`;
}

function decideSnapshot(snapshot: SnapshotAnalysis, family: Family, scale: Scale): Decision {
  const obstacle = obstacleOf(snapshot);
  if (obstacle !== null) return weigh(snapshot.monthly, [], scale, obstacle);
  const index = family.standard.indexOf(snapshot);
  const isLatest = family.isGrowing && index === family.standard.length - 1;
  const plan = planOf(
    { indexes: [index], left: handedOn(family.lineage, index), billed: [snapshot] },
    family,
    scale,
    'one',
  );
  const caution = isLatest ? GROWS : null;
  return weigh(snapshot.monthly, [{ ...plan, isAdvisable: !isLatest }], scale, null, caution);
}

const GROWS = 'it is the latest of a volume of which snapshots are taken: without it the next one would be full again';

const GROWS_AS_A_SET =
  'only all of them together would save, and without the latest the next snapshot would be full again';

function decideSet(family: Family, scale: Scale): Decision | null {
  const { volume, standard, lineage } = family;
  const movable = [...standard.keys()].filter((index) => obstacleOf(standard[index] as SnapshotAnalysis) === null);
  if (movable.length === 0) {
    return weigh(
      volume.monthly,
      [],
      scale,
      'none of its snapshots can be moved: images need them, or they are archived',
    );
  }
  const planFor = (indexes: readonly number[], scope: 'all' | 'all-but-latest'): Plan => {
    const gone = new Set(indexes);
    const left = remaining(lineage, (index) => !gone.has(index));
    return planOf({ indexes, left, billed: standard }, family, scale, scope);
  };
  const all = planFor(movable, 'all');
  const rest = movable.filter((index) => index !== standard.length - 1);
  const plans = [{ ...all, isAdvisable: !family.isGrowing || rest.length === movable.length }];
  if (rest.length > 0 && rest.length < movable.length && lineage.isChain) plans.push(planFor(rest, 'all-but-latest'));
  return weigh(volume.monthly, plans, scale, null, family.isGrowing ? GROWS_AS_A_SET : null);
}

interface MovedSnapshots {
  /** Their places in the lineage. */
  indexes: readonly number[];
  /** GiB that are still billed after the move. */
  left: Range;
  /** The snapshots whose bill changes. */
  billed: readonly SnapshotAnalysis[];
}

function planOf(
  { indexes, left, billed }: MovedSnapshots,
  { volume, lineage, elsewhere }: Family,
  { prices }: Scale,
  scope: Plan['scope'],
): Plan {
  // Prices are in the currency of the bill here.
  const rate = billedRate(billed) ?? prices.snapshot.gbMonth;
  const bill = sum(billed.map(({ monthly }) => monthly));
  const moved = indexes.map((index) => lineage.links[index] as Link);
  const full = { least: sum(moved.map((link) => link.full.least)), most: sum(moved.map((link) => link.full.most)) };
  const freed = Math.max(0, sum(billed.map(({ gib }) => gib)) - left.least);
  return {
    scope,
    snapshots: moved.length,
    volumeGiB: volume.sizeGiB ?? full.least / moved.length,
    full,
    incremental: moved.length === lineage.links.length && moved.length > 1 && lineage.isChain ? lineage : null,
    stays: { least: left.least * rate, most: Math.min(bill, (left.most + Math.min(elsewhere, freed)) * rate) },
    bill,
    isAdvisable: true,
  };
}
