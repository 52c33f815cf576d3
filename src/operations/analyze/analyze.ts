/** The operation `analyze`: reads billing reports, joins them with the data of EC2, and builds the analysis. */
import { addedUp } from '../../billing/charges.ts';
import { type Billed, Ledger } from '../../billing/ledger.ts';
import { type ReportFacts, readReport } from '../../billing/read-report.ts';
import type { ReportSource } from '../../billing/source.ts';
import type { Analysis, AnalysisWarning } from '../../costs/analysis.ts';
import { ASSUMED_CHANGE } from '../../costs/change-rate.ts';
import { decide } from '../../costs/decide.ts';
import { measuredPrices } from '../../costs/overrides.ts';
import type { Prices } from '../../costs/price-types.ts';
import { REGION_PATTERN } from '../../lib/aws-names.ts';
import { monotonic, now } from '../../lib/clock.ts';
import { VERSION } from '../../version.ts';
import type { AnalyzeServices } from '../shared/services.ts';
import type { AnalyzeSettings } from '../shared/settings/analyze.ts';
import { assembleRegions } from './assemble-analysis.ts';
import { type Described, describeRegions } from './describe-regions.ts';
import { type KnownRatios, ratiosFor } from './measure-ratio.ts';
import { reportSources } from './report-sources.ts';
import { hasDiscounts, reportWarnings } from './report-warnings.ts';

/**
 * Measures archives before it reads the reports. Failed calls to EC2 become warnings.
 * @returns the analysis with the best choice for each volume and snapshot.
 * @throws SnapError `USAGE` if an input is not a billing report, or no archive can be measured; `REPORT` if a report cannot
 *   be read completely; `BUCKET`, `ACCESS_DENIED` and other errors of S3.
 */
export async function analyze(
  settings: AnalyzeSettings,
  services: AnalyzeServices,
  signal: AbortSignal,
): Promise<Analysis> {
  const sources = await reportSources(settings, services, signal);
  const ratios = await ratiosFor(settings, services, signal);
  const ledger = new Ledger(settings);
  const facts = await readAll(sources, ledger, services, signal);
  const billed = ledger.result(now().getTime());
  const described = settings.isOffline ? NOT_DESCRIBED : await describeRegions(accountsOf(billed), services, signal);
  const regions = [...new Set(billed.snapshots.map(({ region }) => region))];
  const prices = await services.prices(regions, { signal });
  const undecided = document(facts, billed, described, { ...settings, prices, ratios });
  const measured = measuredPrices(undecided.regions, prices, facts.some(hasDiscounts));
  return decide(undecided, measured, { today: undecided.madeAt.slice(0, 10) });
}

async function readAll(
  sources: readonly ReportSource[],
  ledger: Ledger,
  { host }: AnalyzeServices,
  signal: AbortSignal,
): Promise<ReportFacts[]> {
  const all: ReportFacts[] = [];
  for (const source of sources) {
    const started = monotonic();
    let read = 0;
    using _progress = host.track({
      label: source.name,
      expectedBytes: source.bytes ?? 0,
      read: () => read,
      stored: null,
    });
    const onBytes = (count: number) => {
      read += count;
    };
    const facts = await readReport(source, ledger, { signal, onBytes });
    const { name, format, granularity, rows, ofSnapshots, broken, unclear } = facts;
    const seconds = (monotonic() - started) / 1000;
    host.notify({ code: 'report.read', name, format, granularity, rows, ofSnapshots, broken, unclear, seconds });
    all.push(facts);
  }
  return all;
}

const NOT_DESCRIBED: Described = { regions: new Map(), warnings: [] };

/** The accounts to describe, by region. Snapshots without an id are ignored. */
function accountsOf({ snapshots }: Billed): Map<string, string[]> {
  const groups = Map.groupBy(
    snapshots.filter(({ id, region }) => id !== '' && REGION_PATTERN.test(region)),
    ({ region }) => region,
  );
  return new Map([...groups].map(([region, group]) => [region, accountsIn(group)]));
}

const accountsIn = (group: readonly { account: string }[]): string[] => [
  ...new Set(group.flatMap(({ account }) => (/^\d{12}$/.test(account) ? [account] : []))),
];

function document(
  facts: readonly ReportFacts[],
  billed: Billed,
  described: Described,
  {
    isOffline,
    reading,
    keepMonths,
    change = ASSUMED_CHANGE,
    prices,
    ratios,
  }: AnalyzeSettings & { prices: Prices; ratios: KnownRatios },
): Analysis {
  const total = (pick: (one: ReportFacts) => number) => facts.reduce((sum, one) => sum + pick(one), 0);
  const warnings: AnalysisWarning[] = [...reportWarnings(facts, billed), ...ratios.warnings, ...described.warnings];
  return {
    format: 1,
    tool: { name: 'snap-to-s3', version: VERSION },
    madeAt: now().toISOString(),
    basis: {
      kind: 'report',
      sources: facts.map(({ name, format, granularity }) => ({ name, format, granularity })),
      firstDay: billed.firstDay,
      latestDay: billed.latestDay,
      rows: {
        read: total(({ rows }) => rows),
        understood: total(({ rows, broken, unclear }) => rows - broken - unclear),
        ofSnapshots: total(({ ofSnapshots, repeats }) => (repeats === null ? ofSnapshots : 0)),
        broken: total(({ broken }) => broken),
      },
      charges: addedUp(facts.flatMap(({ charges, repeats }) => (repeats === null ? charges : []))),
      isJoined: !isOffline && described.regions.size > 0,
    },
    prices: { source: prices.source, asOf: prices.asOf, note: prices.note },
    assumptions: { ...ratios.compression, reading, keepMonths, change },
    regions: assembleRegions(billed.snapshots, described.regions, prices, ratios.byVolume),
    trend: billed.trend,
    warnings,
  };
}
