/** Replaces a part of the prices, for example by negotiated rates. */
import { sum } from '../lib/sum.ts';
import type { RegionAnalysis } from './analysis.ts';
import type {
  ClassPrices,
  PriceGroup,
  PriceSource,
  Prices,
  RegionPrices,
  RetrievalTier,
  SnapshotPrices,
} from './price-types.ts';
import { pricesIn } from './prices.ts';

/** The prices of a region that are replaced. The others are kept. */
export interface RegionOverrides {
  snapshot?: Partial<SnapshotPrices>;
  direct?: Partial<RegionPrices['direct']>;
  volumes?: Record<string, number>;
  s3?: Record<string, ClassOverrides>;
}

export interface ClassOverrides extends Partial<Omit<ClassPrices, 'retrieval'>> {
  retrieval?: Partial<Record<RetrievalTier['tier'], { gb?: number; thousandRequests?: number }>>;
}

/** @param source the source that is recorded for the changed groups of prices. */
export function overridden(prices: RegionPrices, overrides: RegionOverrides, source: PriceSource): RegionPrices {
  const changed = Object.fromEntries(groupsOf(overrides).map((group) => [group, source]));
  return {
    ...prices,
    snapshot: { ...prices.snapshot, ...overrides.snapshot },
    direct: { ...prices.direct, ...overrides.direct },
    volumes: { ...prices.volumes, ...overrides.volumes },
    s3: { ...prices.s3, ...classesWith(prices, overrides.s3 ?? {}) },
    sources: { ...prices.sources, ...changed },
  };
}

function classesWith(prices: RegionPrices, overrides: Record<string, ClassOverrides>): Record<string, ClassPrices> {
  const classes = Object.entries(overrides).flatMap(([name, { retrieval = {}, ...others }]) => {
    const known = prices.s3[name];
    if (!known) return [];
    const tiers = known.retrieval.map((tier) => ({ ...tier, ...retrieval[tier.tier] }));
    return [[name, { ...known, ...others, retrieval: tiers }] as const];
  });
  return Object.fromEntries(classes);
}

function groupsOf({ snapshot, direct, volumes, s3 }: RegionOverrides): PriceGroup[] {
  const classes = Object.values(s3 ?? {});
  const given: Record<PriceGroup, boolean> = {
    snapshot: snapshot?.gbMonth !== undefined,
    archive: snapshot?.archiveGbMonth !== undefined,
    direct: direct !== undefined,
    volumes: volumes !== undefined,
    s3: classes.some(({ retrieval: _, ...others }) => Object.keys(others).length > 0),
    retrieval: classes.some(({ retrieval }) => retrieval !== undefined),
  };
  return (Object.keys(given) as PriceGroup[]).filter((group) => given[group]);
}

/**
 * Replaces the prices of snapshots by the rates of the report. A region without costs or snapshots keeps its prices.
 * @param isBeforeDiscounts whether the report lists discounts in separate rows, which the rates then do not include.
 */
export function measuredPrices(regions: readonly RegionAnalysis[], base: Prices, isBeforeDiscounts = false): Prices {
  const measured = regions.flatMap((region) => {
    const prices = pricesIn(region.region, base);
    const overrides = region.isBilled && region.currency === prices.currency ? ratesOf(region) : null;
    return overrides ? [[region.region, overridden(prices, { snapshot: overrides }, 'report')] as const] : [];
  });
  if (measured.length === 0) return base;
  const before = isBeforeDiscounts ? ', before discounts' : '';
  const note = `snapshots at the rates of the report${before}; other prices: ${base.note}`;
  return { ...base, source: 'report', note, regions: { ...base.regions, ...Object.fromEntries(measured) } };
}

function ratesOf({ volumes }: RegionAnalysis): Partial<SnapshotPrices> | null {
  const snapshots = volumes.flatMap((volume) => volume.snapshots);
  const rate = (wanted: 'standard' | 'archive'): number | null => {
    const those = snapshots.filter(({ tier }) => tier === wanted);
    const gib = sum(those.map((snapshot) => snapshot.gib));
    return gib > 0 ? sum(those.map(({ monthly }) => monthly)) / gib : null;
  };
  const [standard, archive] = [rate('standard'), rate('archive')];
  if (standard === null && archive === null) return null;
  return {
    ...(standard === null ? {} : { gbMonth: standard }),
    ...(archive === null ? {} : { archiveGbMonth: archive }),
  };
}
