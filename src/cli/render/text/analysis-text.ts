/** An analysis as text: the costs by region and volume in the format of version 0, then notes about them. */
import type {
  Analysis,
  Basis,
  RegionAnalysis,
  SnapshotAnalysis,
  SnapshotCharges,
  TrendMonth,
  VolumeAnalysis,
} from '../../../costs/analysis.ts';
import { count, formatDollars } from '../../../lib/units.ts';
import { adviceLines } from './advice-text.ts';
import { inCurrency } from './money.ts';

export function analysisText(analysis: Analysis): string {
  const blocks = analysis.regions.map(regionText);
  const notes = [
    describeBasis(analysis.basis),
    ...coverageLines(analysis.basis),
    ...trendLines(analysis.trend),
    ...adviceLines(analysis),
    ...warningLines(analysis),
  ];
  return `${blocks.join('\n')}${notes.join('\n')}\n`;
}

/** A line for the region, a paragraph for each volume, and an empty line at the end. */
function regionText(region: RegionAnalysis): string {
  const { snapshotCount, currency } = region;
  const cost = `${inCurrency(region.monthly.toFixed(2), currency)}/month`;
  const of =
    snapshotCount > 0 ? `for ${count(snapshotCount, 'snapshot')}` : 'for snapshots that the report does not name';
  const volumes = region.volumes.map((volume) => `${volumeText(volume, currency)}\n`);
  return `Region ${region.region} (${cost} ${of})\n${volumes.join('\n')}\n`;
}

function volumeText(volume: VolumeAnalysis, currency: string): string {
  const { gib, monthly, snapshots, averageChange } = volume;
  const cost = `${inCurrency(significant(monthly, 3), currency)}/month`;
  const change = averageChange === null ? '' : `, average snapshot change ${significant(averageChange, 2)}%`;
  const head = `${nameOf(volume)}: ${Math.round(gib)} GB total, ${cost} for ${count(snapshots.length, 'snapshot')}${change}`;
  return [head, ...snapshots.map(snapshotLine)].join('\n');
}

function nameOf({ id, sizeGiB, name, isDeleted }: VolumeAnalysis): string {
  if (id === null) return 'unknown volumes';
  const addition = isDeleted ? ', deleted' : name ? `, ${printable(name)}` : '';
  return `${id} (${sizeGiB}GB${addition})`;
}

function snapshotLine({ id, startedAt, gib, share, tier }: SnapshotAnalysis): string {
  const day = startedAt?.slice(0, 10) ?? '-'.repeat(10);
  const part = share === null ? '' : ` (${significant(share, 2)}%)`;
  const archived = tier === 'archive' ? ' in the archive tier' : '';
  return `  ${id.padStart(22)}  ${day}  ${gib.toFixed(1).padStart(4)} GB${part}${archived}`;
}

function describeBasis(basis: Basis): string {
  if (basis.kind === 'live') {
    const { requests, dollars } = basis.calls;
    return `As of ${basis.latestDay}, from EC2 and ${count(requests, 'request')} to the EBS direct APIs (${formatDollars(dollars)}).`;
  }
  if (basis.firstDay === '') return 'The report bills no snapshots.';
  const { firstDay, latestDay, rows } = basis;
  return `As of ${latestDay}, from ${count(rows.ofSnapshots, 'row')} since ${firstDay}.`;
}

/** How many rows, and how much of the cost, of the report the analysis covers. */
function coverageLines(basis: Basis): string[] {
  if (basis.kind === 'live') return [];
  const { read, understood, broken } = basis.rows;
  const bad = broken === 0 ? '' : `, ${broken} malformed (their costs may be missing)`;
  return [`${count(read, 'row')} read, ${understood} understood${bad}.`, ...basis.charges.map(chargesLine)];
}

function chargesLine({ currency, inReport, explained, storage, others }: SnapshotCharges): string {
  const amount = (value: number) => inCurrency(value.toFixed(2), currency);
  const parts = [`storage ${amount(storage)}`, ...others.map(({ what, cost }) => `${printable(what)} ${amount(cost)}`)];
  return `Cost of EBS snapshots in the report: ${amount(inReport)}; explained: ${amount(explained)} (${parts.join(', ')}).`;
}

function trendLines(trend: readonly TrendMonth[]): string[] {
  if (new Set(trend.map(({ month }) => month)).size < 2) return [];
  return [
    '',
    'By month:',
    ...trend.map(({ month, currency, gib, cost, snapshotCount }) => {
      const bill = inCurrency(cost.toFixed(2), currency);
      return `  ${month}  ${gib.toFixed(1).padStart(10)} GB-months  ${bill.padStart(12)}  ${count(snapshotCount, 'snapshot')}`;
    }),
  ];
}

const warningLines = ({ warnings }: Analysis): string[] => warnings.map(({ text }) => `WARNING: ${printable(text)}`);

/** `150.8` → `151`, `0.2471` → `0.247`: without an exponent, and without zeros at the end. */
const significant = (value: number, digits: number): string => String(Number(value.toPrecision(digits)));

/** Names come from tags and files, and may contain escape sequences that a terminal would execute. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are to be replaced.
const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
