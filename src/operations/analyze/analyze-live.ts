/** The operation `analyze --live`: analyzes without a report, from EC2 and the blocks that changed between snapshots. */

import type { BilledSnapshot } from '../../billing/ledger.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import type { Analysis, AnalysisWarning } from '../../costs/analysis.ts';
import { ASSUMED_CHANGE } from '../../costs/change-rate.ts';
import { decide } from '../../costs/decide.ts';
import type { Prices } from '../../costs/price-types.ts';
import { pricesIn } from '../../costs/prices.ts';
import { SnapError } from '../../errors.ts';
import { BLOCKS_PER_PAGE } from '../../lib/aws-limits.ts';
import { isCopyVolume } from '../../lib/aws-names.ts';
import { now } from '../../lib/clock.ts';
import { inParallel } from '../../lib/parallel.ts';
import { sum } from '../../lib/sum.ts';
import { GiB } from '../../lib/units.ts';
import { VERSION } from '../../version.ts';
import type { AnalyzeServices } from '../shared/services.ts';
import type { AnalyzeSettings } from '../shared/settings/analyze.ts';
import { assembleRegions } from './assemble-analysis.ts';
import { type Described, describeRegions, type KnownRegion } from './describe-regions.ts';
import { type KnownRatios, ratiosFor } from './measure-ratio.ts';

/** A snapshot and its predecessor. */
interface Link {
  region: string;
  snapshot: Snapshot;
  /** The previous snapshot of the same volume; `null` for the first one, for copies and in the archive tier. */
  before: Snapshot | null;
}

interface Findings {
  billed: BilledSnapshot[];
  /** Number of requests by region. */
  requests: Map<string, number>;
  warnings: AnalysisWarning[];
}

/**
 * Snapshots that cannot be compared, and regions that cannot be described, become warnings. The former are shown with
 * their maximum size.
 * @throws SnapError `USAGE` if no archive can be measured; the errors of calls for prices and archives.
 */
export async function analyzeLive(
  settings: AnalyzeSettings,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<Analysis> {
  const ratios = await ratiosFor(settings, services, signal);
  const described = await describeRegions(new Map(settings.regions.map((region) => [region, []])), services, signal);
  const prices = await services.prices(settings.regions, { signal });
  const links = [...described.regions].flatMap(([region, known]) => linksIn(region, known, settings.accounts));
  announce(links, prices, services);
  const findings = await compareAll(links, services, signal);
  return decide(documentOf(described, findings, prices, { ...settings, ratios }), prices, { today: today() });
}

const today = (): string => now().toISOString().slice(0, 10);

function linksIn(region: string, { snapshots }: KnownRegion, accounts: readonly string[]): Link[] {
  const wanted = [...snapshots.values()].filter(
    ({ state, ownerId }) => state === 'completed' && (accounts.length === 0 || accounts.includes(ownerId)),
  );
  const latest = new Map<string, Snapshot>();
  return wanted.map((snapshot) => {
    const isChained = snapshot.storageTier !== 'archive' && !isCopyVolume(snapshot.volumeId);
    const before = isChained ? (latest.get(snapshot.volumeId) ?? null) : null;
    if (isChained) latest.set(snapshot.volumeId, snapshot);
    return { region, snapshot, before };
  });
}

/** The maximum number of requests, if all blocks of both snapshots have changed. */
function requestsFor({ snapshot, before }: Link): number {
  if (snapshot.storageTier === 'archive' || (before === null && snapshot.dataBytes !== null)) return 0;
  const all = (snapshot.sizeGiB * GiB) / BLOCK_BYTES;
  const written = before === null ? all : (blocksOf(snapshot) ?? all) + (blocksOf(before) ?? all);
  return Math.max(1, Math.ceil(Math.min(all, written) / BLOCKS_PER_PAGE));
}

const blocksOf = ({ dataBytes }: Snapshot): number | null => (dataBytes === null ? null : dataBytes / BLOCK_BYTES);

function announce(links: readonly Link[], prices: Prices, { host }: AnalyzeServices): void {
  for (const [region, group] of Map.groupBy(links, (link) => link.region)) {
    const requests = group.reduce((sum, link) => sum + requestsFor(link), 0);
    const dollars = dollarsFor(requests, region, prices);
    host.notify({ code: 'live.planned', region, snapshots: group.length, requests, dollars });
  }
}

const dollarsFor = (requests: number, region: string, prices: Prices): number =>
  (requests / 1000) * pricesIn(region, prices).direct.thousandLists;

/** Requests in flight. The quota of an account is 50 per second. Source: "Quotas for EBS direct APIs". */
const CONCURRENCY = 8;

async function compareAll(links: readonly Link[], services: AnalyzeServices, signal: AbortSignal): Promise<Findings> {
  const findings: Findings = { billed: [], requests: new Map(), warnings: [] };
  await inParallel(links, CONCURRENCY, signal, async (link, either) => {
    const { region, snapshot } = link;
    const gib = await sizeOf(link, findings, services, either);
    const { id, ownerId: account, storageTier } = snapshot;
    const tier = storageTier === 'archive' ? 'archive' : 'standard';
    findings.billed.push({ id, region, account, currency: 'USD', tier, gib, monthly: null });
  });
  return findings;
}

/** The GiB that this snapshot adds to its predecessor. */
async function sizeOf(link: Link, findings: Findings, services: AnalyzeServices, signal: AbortSignal): Promise<number> {
  const { region, snapshot, before } = link;
  const largest = snapshot.dataBytes === null ? snapshot.sizeGiB : snapshot.dataBytes / GiB;
  if (requestsFor(link) === 0) return largest;
  try {
    const call = { signal };
    const counted = before
      ? await services.counts.changed(region, before.id, snapshot.id, call)
      : await services.counts.written(region, snapshot.id, call);
    findings.requests.set(region, (findings.requests.get(region) ?? 0) + counted.requests);
    return (counted.blocks * BLOCK_BYTES) / GiB;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError) || error.code === 'BUG') throw error;
    const text = `${snapshot.id} is shown with all its data, although AWS may bill less, because it could not be compared: ${error.message}`;
    findings.warnings.push({ code: 'not-compared', text });
    return largest;
  }
}

function documentOf(
  described: Described,
  { billed, requests, warnings }: Findings,
  prices: Prices,
  { reading, keepMonths, change = ASSUMED_CHANGE, ratios }: AnalyzeSettings & { ratios: KnownRatios },
): Analysis {
  return {
    format: 1,
    tool: { name: 'snap-to-s3', version: VERSION },
    madeAt: now().toISOString(),
    basis: {
      kind: 'live',
      latestDay: today(),
      calls: {
        requests: sum([...requests.values()]),
        dollars: sum([...requests].map(([region, count]) => dollarsFor(count, region, prices))),
      },
    },
    prices: { source: prices.source, asOf: prices.asOf, note: prices.note },
    assumptions: { ...ratios.compression, reading, keepMonths, change },
    regions: assembleRegions(billed, described.regions, prices, ratios.byVolume),
    trend: [],
    warnings: [...ratios.warnings, ...described.warnings, ...warnings],
  };
}
