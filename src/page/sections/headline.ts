/** The headline: the cost, the possible saving, and its certainty. */
import type { Choice } from '../../costs/analysis.ts';
import { type Html, html } from '../html.ts';
import type { Total } from '../model/summary.ts';
import { bounded, counted, integer, percent, roundMoney, roundSize } from '../model/words.ts';

export const headline = (totals: readonly Total[]): Html =>
  totals.length === 0
    ? html`<section class="headline"><h1>No snapshots were found.</h1></section>`
    : html`<section class="headline">${totals.map(ofTotal)}</section>`;

function ofTotal(total: Total, index: number): Html {
  const text = html`Snapshots cost ${figure(total.monthly, total.currency)} per month. ${saving(total)}`;
  return html`${index === 0 ? html`<h1>${text}</h1>` : html`<p class="h1">${text}</p>`}
<p class="how-sure">${certaintyOf(total)}</p>
<dl class="figures">
${fact('Snapshots', integer(total.snapshotCount), `of ${counted(total.volumeCount, 'volume')}`)}
${fact('Stored', roundSize(total.gib), 'billed by AWS')}
${fact('To move', integer(total.moved), total.moved === 1 ? 'snapshot' : 'snapshots')}
${fact('One-time cost', roundMoney(total.oneOff, total.currency), 'reading and requests')}
</dl>`;
}

const figure = (amount: number, currency: string): Html => html`<strong>${roundMoney(amount, currency)}</strong>`;

function saving({ saving: amount, savingIs, monthly, currency }: Total): Html {
  if (amount <= 0) return html`Moving them would not save anything.`;
  const share = monthly > 0 ? ` (${percent((amount / monthly) * 100)})` : '';
  const start = bounded('', savingIs);
  const bound = start === '' ? '' : `${start.charAt(0).toUpperCase()}${start.slice(1)}`;
  return html`${bound}<strong class="saving">${roundMoney(amount, currency)}</strong>${share} of this can be saved.`;
}

const REASONS: Record<Choice['savingIs'], string> = {
  exact: 'is exact',
  'upper-bound': 'is an upper bound, because deleting a snapshot frees only blocks that no other snapshot refers to',
  'lower-bound': 'is a lower bound',
};

function certaintyOf({ saving: amount, savingParts, currency }: Total): string {
  if (amount <= 0) return 'Keeping all snapshots where they are is the cheapest choice.';
  const parts = (['exact', 'upper-bound', 'lower-bound'] as const).filter((key) => savingParts[key] > 0);
  const [only] = parts;
  if (parts.length === 1 && only === 'exact')
    return 'The saving is exact at these prices, because all snapshots of each volume move together.';
  return `Of this saving, ${parts.map((key) => `${roundMoney(savingParts[key], currency)} ${REASONS[key]}`).join('; ')}.`;
}

const fact = (name: string, value: string, note: string): Html =>
  html`<div><dt>${name}</dt><dd>${value} <small>${note}</small></dd></div>`;
