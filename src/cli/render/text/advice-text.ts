/** The recommendations of an analysis as lines of text. */
import type { Analysis, Choice, VolumeAnalysis } from '../../../costs/analysis.ts';
import { changeText } from '../../../costs/change-rate.ts';
import { type Chosen, chosenOf } from '../../../costs/chosen.ts';
import { measuredVolumes, ratioText } from '../../../costs/compression.ts';
import { sum } from '../../../lib/sum.ts';
import { count } from '../../../lib/units.ts';
import { formatMoney } from './money.ts';

/** Maximum number of recommendations in the text; the CSV file, the page and the JSON document have them all. */
const SHOWN = 10;

export function adviceLines(analysis: Analysis): string[] {
  const { prices, assumptions, regions } = analysis;
  const { keepMonths, reading } = assumptions;
  const how = reading === 'direct' ? 'through the EBS direct APIs' : `from ${reading.volumeType} volumes`;
  if (regions.every(({ volumes }) => volumes.length === 0)) return [];
  const chosen = chosenOf(analysis);
  const more = chosen.length - SHOWN;
  return [
    '',
    `Worth moving to S3, if read ${how}, compressed ${compressed(analysis)} and kept for ${count(keepMonths, 'month')}:`,
    ...(chosen.length === 0 ? [`  none: ${reasonOf(analysis)}`] : chosen.slice(0, SHOWN).map(describe)),
    ...(more > 0 ? [`  and ${more} more (--csv, --json)`] : []),
    ...totals(chosen),
    ...outlookLines(analysis),
    `Prices: ${prices.note.replace(/\.$/, '')}.`,
  ];
}

/** `2:1 (assumed)`, `2.13:1 (measured on 14 archives; own ratio for 3 volumes)` */
function compressed({ assumptions, regions }: Analysis): string {
  const { compression, compressionIs, measuredOn } = assumptions;
  if (measuredOn === null) return `${ratioText(compression)} (${compressionIs})`;
  const own = measuredVolumes(regions);
  const byOwn = own === 0 ? '' : `; own ratio for ${count(own, 'volume')}`;
  return `${ratioText(compression)} (measured on ${count(measuredOn.archives, 'archive')}${byOwn})`;
}

function describe({ volume, snapshots, choice, currency }: Chosen): string {
  const { saving, oneOff, breakEven } = choice;
  const pays = breakEven === null ? '' : `, pays off from ${breakEven}`;
  const cost = `costs ${formatMoney(oneOff, currency)} once${pays}`;
  const form = choice.form === 'incremental' ? ' as incremental archives' : '';
  const rate = choice.scope === 'one' || volume.change?.is !== 'measured' ? '' : `; ${changeText(volume.change)}`;
  return `  ${what(volume.id, snapshots, choice)} to ${choice.storageClass}${form}: saves ${bound(choice)}${formatMoney(saving, currency)}/month, ${cost}${rate}`;
}

function what(volume: string | null, snapshots: Chosen['snapshots'], { scope }: Choice): string {
  const [first] = snapshots;
  const of = volume === null ? '' : ` of ${volume}`;
  if (scope === 'one') return `${first?.id}${of}`;
  const number = count(snapshots.length, 'snapshot');
  return scope === 'all-but-latest' ? `${number}${of}, all but the latest,` : `${number}${of}`;
}

const bound = ({ savingIs }: Choice): string => (savingIs === 'lower-bound' ? 'at least ' : '');

function totals(chosen: readonly Chosen[]): string[] {
  const byCurrency = Map.groupBy(chosen, ({ currency }) => currency);
  return [...byCurrency].map(([currency, group]) => {
    const saving = group.reduce((sum, { choice }) => sum + choice.saving, 0);
    const once = group.reduce((sum, { choice }) => sum + choice.oneOff, 0);
    return `  total: saves ${formatMoney(saving, currency)}/month, costs ${formatMoney(once, currency)} once`;
  });
}

/** What the volumes that get further snapshots will cost, and for how many of them the change is only assumed. */
function outlookLines({ regions, assumptions: { keepMonths } }: Analysis): string[] {
  return [...Map.groupBy(regions, ({ currency }) => currency)].flatMap(([currency, group]) => {
    const growing = group.flatMap(({ volumes }) => volumes).filter(({ outlook }) => outlook);
    if (growing.length === 0) return [];
    const cost = (of: 'ebs' | 'full' | 'incremental') =>
      `${formatMoney(sum(growing.map(({ outlook }) => outlook?.[of] ?? 0)), currency)}/month`;
    const costs = `${cost('ebs')} in EBS, ${cost('full')} as full and ${cost('incremental')} as incremental archives in DEEP_ARCHIVE`;
    return [
      `If ${count(growing.length, 'volume')} with regular snapshots keep them for ${count(keepMonths, 'month')}: ${costs}.`,
      ...assumedLines(growing),
    ];
  });
}

function assumedLines(growing: readonly VolumeAnalysis[]): string[] {
  const unmeasured = growing.flatMap(({ change }) => (change && change.is !== 'measured' ? [change] : []));
  const [first] = unmeasured;
  if (!first) return [];
  return [
    `  Not measured on ${unmeasured.length} of them: daily snapshots with a change of ${first.percent}% are assumed${first.is === 'given' ? ' (--change)' : ''}.`,
  ];
}

/** The reason given for the most expensive volume, which stands for the others. */
const reasonOf = ({ regions }: Analysis): string =>
  regions.flatMap(({ volumes }) => volumes).find(({ decision }) => decision)?.decision?.reason ??
  'the costs are not known';
