/** What an analysis advises, in some lines. */
import type { Analysis, Choice } from '../../../costs/analysis.ts';
import { type Chosen, chosenOf } from '../../../costs/chosen.ts';
import { measuredVolumes, ratioText } from '../../../costs/compression.ts';
import { count } from '../../../lib/units.ts';
import { money } from './money.ts';

/** Lines shown; the table, the page and JSON have them all. */
const SHOWN = 10;

export function adviceLines(analysis: Analysis): string[] {
  const { prices, assumptions, regions } = analysis;
  const { keepMonths, reading } = assumptions;
  const by = reading === 'direct' ? 'the EBS direct APIs' : `${reading.volumeType} volumes`;
  if (regions.every(({ volumes }) => volumes.length === 0)) return [];
  const chosen = chosenOf(analysis);
  const more = chosen.length - SHOWN;
  return [
    '',
    `Moving to S3, read by ${by}, compressed ${compressed(analysis)}, kept for ${keepMonths} months:`,
    ...(chosen.length === 0 ? [`  nothing: ${reasonOf(analysis)}`] : chosen.slice(0, SHOWN).map(describe)),
    ...(more > 0 ? [`  and ${more} more (--csv, --json)`] : []),
    ...totals(chosen),
    `Prices: ${prices.note.replace(/\.$/, '')}.`,
  ];
}

/** `2:1 (assumed)`, `2.13:1 (measured on 14 archives; 3 volumes by their own)` */
function compressed({ assumptions, regions }: Analysis): string {
  const { compression, compressionIs, measuredOn } = assumptions;
  if (measuredOn === null) return `${ratioText(compression)} (${compressionIs})`;
  const own = measuredVolumes(regions);
  const byOwn = own === 0 ? '' : `; ${own} ${own === 1 ? 'volume by its' : 'volumes by their'} own`;
  return `${ratioText(compression)} (measured on ${count(measuredOn.archives, 'archive')}${byOwn})`;
}

function describe({ volume, snapshots, choice, currency }: Chosen): string {
  const { saving, oneOff, breakEven } = choice;
  const pays = breakEven === null ? '' : `, pays from ${breakEven}`;
  const cost = `${money(oneOff, currency)} once${pays}`;
  return `  ${what(volume.id, snapshots, choice)} to ${choice.storageClass}: saves ${bound(choice)}${money(saving, currency)}/month, ${cost}`;
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
    return `  in all: saves ${money(saving, currency)}/month, ${money(once, currency)} once`;
  });
}

/** Of the volume that costs most. */
const reasonOf = ({ regions }: Analysis): string =>
  regions.flatMap(({ volumes }) => volumes).find(({ decision }) => decision)?.decision?.reason ?? 'nothing is known';
