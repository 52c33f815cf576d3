/** What an analysis advises, in some lines. */
import type { Analysis, Choice } from '../../costs/analysis.ts';
import { type Chosen, chosenOf } from '../../costs/chosen.ts';
import { money } from './money.ts';

/** Lines shown; the table, the page and JSON have them all. */
const SHOWN = 10;

export function adviceLines(analysis: Analysis): string[] {
  const { prices, assumptions, regions } = analysis;
  if (regions.every(({ volumes }) => volumes.length === 0)) return [];
  const chosen = chosenOf(analysis);
  const more = chosen.length - SHOWN;
  return [
    '',
    `Moving to S3, kept for ${assumptions.keepMonths} months and compressed ${assumptions.compression}:1:`,
    ...(chosen.length === 0 ? [`  nothing: ${reasonOf(analysis)}`] : chosen.slice(0, SHOWN).map(describe)),
    ...(more > 0 ? [`  and ${more} more (--csv, --json)`] : []),
    ...totals(chosen),
    `Prices: ${prices.note.replace(/\.$/, '')}.`,
  ];
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
  const number = `${snapshots.length} snapshot${snapshots.length === 1 ? '' : 's'}`;
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
