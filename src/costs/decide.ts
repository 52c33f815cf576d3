/**
 * Finds the best choice for each snapshot, and for all snapshots of each volume together.
 *
 * This module computes only, from the analysis and the prices. A saving is the cost that certainly stops; if it is not known
 * exactly, it is marked as a bound. A choice whose saving may be zero is never the best one.
 */
import { isCopyVolume } from '../lib/aws-names.ts';
import { sum } from '../lib/sum.ts';
import type {
  Analysis,
  AnalysisWarning,
  ChangeRate,
  Decision,
  Outlook,
  RegionAnalysis,
  SnapshotAnalysis,
  VolumeAnalysis,
} from './analysis.ts';
import { outlookOf } from './archiving/outlook.ts';
import { generationsIn } from './archiving/points.ts';
import { type Target, targetsIn, WEIGHED_CLASSES } from './archiving/targets.ts';
import { changeRateOf, changeText } from './change-rate.ts';
import { type Plan, weigh } from './choices.ts';
import { compressionOf } from './compression.ts';
import { exactly, handedOn, type Lineage, type Link, type Range, remaining } from './lineage.ts';
import type { Prices, RegionPrices } from './price-types.ts';
import { noteOn, pricesIn } from './prices.ts';

export interface DecideOptions {
  /** The day from which break-even days are counted, `YYYY-MM-DD`. */
  today: string;
}

/** @returns the analysis with decisions, the description of the prices, and warnings about them. */
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

/** The context for the decisions about a volume. */
interface Scale {
  prices: RegionPrices;
  targets: readonly Target[];
  today: string;
  keepMonths: number;
  change: ChangeRate;
  /** GiB that the snapshots of a volume refer to and that are billed to snapshots of other volumes, by volume. */
  foreign: ReadonlyMap<VolumeAnalysis, number>;
  /** The sum of `foreign`. */
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
    const change = changeRateOf(volume, assumptions);
    return { prices, targets, today: options.today, keepMonths, change, foreign, allForeign };
  };
  if (allForeign > 0) warnings.push(sharedLineage(region.region));
  const volumes = region.volumes.map((volume) => decideVolume(volume, scaleFor(volume)));
  return { region: { ...region, volumes }, warnings };
}

const sharedLineage = (region: string): AnalysisWarning => ({
  code: 'shared-lineage',
  text:
    `in ${region}, some volumes were created from snapshots of other volumes; their snapshots share blocks, so deleting ` +
    'one of them may save less than its cost',
});

/**
 * Converts the prices to the currency of the report, with the ratio of the prices of snapshots in both currencies.
 * @returns `null` if the report does not show the price of a snapshot: amounts in two currencies are never compared.
 */
function pricesFor(region: RegionAnalysis, all: Prices): { prices: RegionPrices | null; warnings: AnalysisWarning[] } {
  const prices = pricesIn(region.region, all);
  const note = noteOn(prices);
  const warnings = note === null ? [] : [{ code: 'prices-estimated', text: note }];
  if (region.currency === prices.currency) return { prices, warnings };
  const factor = currencyFactor(region, prices);
  const currencies = `the costs in ${region.region} are in ${region.currency}, but the prices are in ${prices.currency}`;
  if (factor === null) {
    const text = `${currencies}, and no snapshot has a cost from which they could be converted, so there are no recommendations for this region`;
    return { prices: null, warnings: [...warnings, { code: 'currency-unknown', text }] };
  }
  const text = `${currencies}; the prices were multiplied by ${factor.toFixed(4)}, the ratio of the costs of a GB-month of snapshots`;
  return { prices: scaled(prices, factor), warnings: [...warnings, { code: 'currency-scaled', text }] };
}

/** Uses snapshots in the standard tier or, if there are none, in the archive tier. @returns `null` if none has a cost. */
function currencyFactor({ volumes }: RegionAnalysis, { snapshot: prices }: RegionPrices): number | null {
  const snapshots = volumes.flatMap((volume) => volume.snapshots);
  const standard = billedRate(snapshots.filter(isStandard));
  if (standard !== null && standard > 0) return standard / prices.gbMonth;
  const archive = billedRate(snapshots.filter((snapshot) => !isStandard(snapshot)));
  return archive !== null && archive > 0 ? archive / prices.archiveGbMonth : null;
}

/** Multiplies all numbers of the prices. */
function scaled<T>(value: T, factor: number): T {
  if (typeof value === 'number') return (value * factor) as T;
  if (Array.isArray(value)) return value.map((each) => scaled(each, factor)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, scaled(each, factor)])) as T;
}

const isStandard = ({ tier }: SnapshotAnalysis): boolean => tier === 'standard';

/** The billed price per GB-month of the snapshots. @returns `null` if they have no size. */
function billedRate(snapshots: readonly SnapshotAnalysis[]): number | null {
  const gib = sum(snapshots.map((snapshot) => snapshot.gib));
  return gib > 0 ? sum(snapshots.map(({ monthly }) => monthly)) / gib : null;
}

/** Smaller differences are ignored: they come from rounding, and from partial days. */
const NOISE = { share: 0.02, gib: 0.1 };

/** The first snapshot of a volume refers to more than its billed size if the volume was created from another snapshot. */
function foreignGiB({ id, snapshots }: VolumeAnalysis): number {
  const first = snapshots.find(isStandard);
  if (!first || first.fullGiB === null || id === null || isCopyVolume(id)) return 0;
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
    change: scale.change,
    outlook: outlookFor(family, scale),
    snapshots: volume.snapshots.map((snapshot) => ({ ...snapshot, decision: decideSnapshot(snapshot, family, scale) })),
    decision: decideSet(family, scale),
  };
}

/** @returns `null` if no further snapshots are likely. */
function outlookFor(
  { volume, standard, isGrowing }: Family,
  { prices, targets, keepMonths, change }: Scale,
): Outlook | null {
  const full = standard.at(-1)?.fullGiB ?? volume.sizeGiB;
  if (!isGrowing || full === null) return null;
  return outlookOf(full, change, { targets, keepMonths, gbMonth: billedRate(standard) ?? prices.snapshot.gbMonth });
}

interface Family {
  volume: VolumeAnalysis;
  standard: readonly SnapshotAnalysis[];
  lineage: Lineage;
  /** Maximum GiB of these snapshots that snapshots of other volumes may refer to. */
  elsewhere: number;
  /** Whether further snapshots are likely. If the latest one is deleted, the next one is full. */
  isGrowing: boolean;
}

function lineageOf(volume: VolumeAnalysis, standard: readonly SnapshotAnalysis[], scale: Scale): Lineage {
  const isChain = volume.id !== null && !isCopyVolume(volume.id);
  const known = scale.foreign.get(volume) ?? 0;
  return {
    links: standard.map((snapshot) => linkOf(snapshot, volume.sizeGiB)),
    foreign: standard[0]?.fullGiB === null ? (volume.sizeGiB ?? Number.POSITIVE_INFINITY) : known,
    isChain,
  };
}

function linkOf({ gib, fullGiB }: SnapshotAnalysis, sizeGiB: number | null): Link {
  if (fullGiB !== null) return { gib, full: exactly(Math.max(gib, fullGiB)) };
  return { gib, full: { min: gib, max: Math.max(gib, sizeGiB ?? Number.POSITIVE_INFINITY) } };
}

const GROWING_DAYS = 45;

function isGrowing({ isDeleted }: VolumeAnalysis, standard: readonly SnapshotAnalysis[], today: string): boolean {
  const latest = standard.at(-1)?.startedAt;
  if (isDeleted || !latest) return false;
  return Date.parse(today) - Date.parse(latest) < GROWING_DAYS * 86_400_000;
}

/** @returns why the snapshot cannot be moved; `null` if it can be. */
function obstacleOf({ tier, images }: SnapshotAnalysis): string | null {
  if (tier === 'archive') return 'it is already in the EBS archive tier, and must be restored before it can be read';
  if (images.length === 0) return null;
  const [first] = images;
  return `it is used by ${images.length === 1 ? `image ${first}` : `${images.length} images such as ${first}`}`;
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

const GROWS = 'it is the latest snapshot of a volume with regular snapshots: if it is deleted, the next one is full';

const GROWS_AS_A_SET =
  'only moving all of them together would save more than it costs, and if the latest one is deleted, the next one is full';

function decideSet(family: Family, scale: Scale): Decision | null {
  const { volume, standard, lineage } = family;
  const movable = [...standard.keys()].filter((index) => obstacleOf(standard[index] as SnapshotAnalysis) === null);
  if (movable.length === 0) {
    return weigh(
      volume.monthly,
      [],
      scale,
      'none of its snapshots can be moved: images use them, or they are in the EBS archive tier',
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
  /** Indexes in the lineage. */
  indexes: readonly number[];
  /** GiB that are still billed after the move. */
  left: Range;
  /** The snapshots whose bill changes. */
  billed: readonly SnapshotAnalysis[];
}

function planOf(
  { indexes, left, billed }: MovedSnapshots,
  { volume, standard, lineage, elsewhere }: Family,
  { prices, change }: Scale,
  scope: Plan['scope'],
): Plan {
  // The prices are already in the currency of the report.
  const rate = billedRate(billed) ?? prices.snapshot.gbMonth;
  const bill = sum(billed.map(({ monthly }) => monthly));
  const moved = indexes.map((index) => lineage.links[index] as Link);
  const full = { min: sum(moved.map((link) => link.full.min)), max: sum(moved.map((link) => link.full.max)) };
  const freed = Math.max(0, sum(billed.map(({ gib }) => gib)) - left.min);
  return {
    scope,
    snapshots: moved.length,
    volumeGiB: volume.sizeGiB ?? full.min / moved.length,
    full,
    generations: generationsIn(
      lineage,
      indexes,
      standard.map(({ startedAt }) => startedAt),
    ),
    change: changeText(change),
    stays: { min: left.min * rate, max: Math.min(bill, (left.max + Math.min(elsewhere, freed)) * rate) },
    bill,
    isAdvisable: true,
  };
}
