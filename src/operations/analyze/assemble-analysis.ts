/** Joins the billed snapshots with the data of EC2 to regions, volumes and snapshots, without decisions. */

import type { BilledSnapshot } from '../../billing/ledger.ts';
import type { MeasuredRatio, RegionAnalysis, SnapshotAnalysis, VolumeAnalysis } from '../../costs/analysis.ts';
import type { Prices } from '../../costs/price-types.ts';
import { pricesIn } from '../../costs/prices.ts';
import { isCopyVolume } from '../../lib/aws-names.ts';
import { sum } from '../../lib/sum.ts';
import { GiB } from '../../lib/units.ts';
import type { KnownRegion } from './describe-regions.ts';

/** A snapshot with its volume. */
interface Placed {
  billed: Priced;
  snapshot: SnapshotAnalysis;
  volumeId: string | null;
  /** Size of the snapshot. */
  sizeGiB: number | null;
}

/**
 * @param regions the regions that EC2 described, by name.
 * @param prices prices for reports without costs.
 * @param measured measured compression ratios, by volume.
 */
export function assembleRegions(
  billed: readonly BilledSnapshot[],
  regions: ReadonlyMap<string, KnownRegion>,
  prices: Prices,
  measured: Ratios,
): RegionAnalysis[] {
  const priced = billed.map((one) => withPrice(one, prices));
  const groups = Map.groupBy(priced, ({ region, currency, isBilled }) => `${region} ${currency} ${isBilled}`);
  return [...groups.values()].map((group) => assembleRegion(group, regions, measured)).sort(byCost);
}

type Ratios = ReadonlyMap<string, MeasuredRatio>;

/** A snapshot with its monthly cost, according to the report (`isBilled`) or to the price list. */
type Priced = BilledSnapshot & { monthly: number; isBilled: boolean };

/** A cost from the price list is in the currency of the price list, regardless of the currency of the report. */
function withPrice(billed: BilledSnapshot, prices: Prices): Priced {
  if (billed.monthly !== null) return { ...billed, monthly: billed.monthly, isBilled: true };
  const { snapshot, currency } = pricesIn(billed.region, prices);
  const price = billed.tier === 'archive' ? snapshot.archiveGbMonth : snapshot.gbMonth;
  return { ...billed, monthly: billed.gib * price, currency, isBilled: false };
}

function assembleRegion(
  billed: readonly Priced[],
  regions: ReadonlyMap<string, KnownRegion>,
  measured: Ratios,
): RegionAnalysis {
  const { region = '', currency = '', isBilled = false } = billed[0] ?? {};
  const known = regions.get(region);
  const placed = billed.filter(({ id }) => id !== '').map((one) => place(one, known));
  const volumes = [...Map.groupBy(placed, volumeKey).values()].map((group) => assembleVolume(group, known, measured));
  return {
    region,
    currency,
    accounts: [...new Set(billed.map(({ account }) => account))].filter(Boolean).sort(),
    gib: sum(billed.map(({ gib }) => gib)),
    monthly: sum(billed.map(({ monthly }) => monthly)),
    isBilled,
    snapshotCount: new Set(placed.map(({ billed: { id } }) => id)).size,
    volumes: volumes.sort(byCost),
  };
}

const volumeKey = ({ volumeId, billed: { id } }: Placed): string =>
  isCopyVolume(volumeId) ? `${volumeId} ${id}` : (volumeId ?? '');

function place(billed: Priced, known: KnownRegion | undefined): Placed {
  const found = known?.snapshots.get(billed.id);
  return {
    billed,
    volumeId: found?.volumeId ?? null,
    sizeGiB: found?.sizeGiB ?? null,
    snapshot: {
      id: billed.id,
      account: billed.account || null,
      startedAt: found?.startTime.toISOString() ?? null,
      description: found?.description ?? null,
      tier: billed.tier,
      gib: billed.gib,
      monthly: billed.monthly,
      share: null,
      fullGiB: typeof found?.dataBytes === 'number' ? found.dataBytes / GiB : null,
      images: known?.images.get(billed.id) ?? [],
      decision: null,
    },
  };
}

function assembleVolume(placed: readonly Placed[], known: KnownRegion | undefined, measured: Ratios): VolumeAnalysis {
  const id = placed[0]?.volumeId ?? null;
  const volume = id === null ? undefined : known?.volumes.get(id);
  const sizes = placed.flatMap(({ sizeGiB }) => sizeGiB ?? []);
  const sizeGiB = volume?.sizeGiB ?? (sizes.length > 0 ? Math.max(...sizes) : null);
  const snapshots = placed.map(({ snapshot }) => snapshot).sort(byTime);
  return {
    id,
    sizeGiB,
    name: volume?.tags['Name'] ?? null,
    isDeleted: id !== null && volume === undefined,
    gib: sum(snapshots.map(({ gib }) => gib)),
    monthly: sum(snapshots.map(({ monthly }) => monthly)),
    ...withShares(snapshots, id === null ? null : sizeGiB),
    measured: id === null || isCopyVolume(id) ? null : (measured.get(id) ?? null),
    decision: null,
  };
}

/** Ignores snapshots in the archive tier: they are full copies, so their size does not show the change. */
function withShares(
  snapshots: readonly SnapshotAnalysis[],
  sizeGiB: number | null,
): Pick<VolumeAnalysis, 'snapshots' | 'averageChange'> {
  if (sizeGiB === null || sizeGiB === 0) return { snapshots: [...snapshots], averageChange: null };
  const standard = snapshots.filter(({ tier }) => tier === 'standard');
  const changes = sum(standard.slice(1).map(({ gib }) => gib));
  return {
    averageChange: standard.length > 1 ? (changes / standard.length / sizeGiB) * 100 : null,
    snapshots: snapshots.map((snapshot) => ({
      ...snapshot,
      share: snapshot.tier === 'archive' || snapshot === standard[0] ? null : (snapshot.gib / sizeGiB) * 100,
    })),
  };
}

const byTime = (one: SnapshotAnalysis, other: SnapshotAnalysis): number =>
  (one.startedAt ?? '').localeCompare(other.startedAt ?? '') || one.id.localeCompare(other.id);

const byCost = (one: { monthly: number }, other: { monthly: number }): number => other.monthly - one.monthly;
