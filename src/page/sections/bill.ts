/** The cost of snapshots: by region, by volume, over time and by age. */
import type { Analysis, RegionAnalysis, TrendMonth } from '../../costs/analysis.ts';
import { type Html, html } from '../html.ts';
import { totalOf } from '../model/summary.ts';
import { day, gib, integer, money, signed } from '../model/words.ts';
import { figure, scrolling } from './figure.ts';

export const bill = (analysis: Analysis): Html => html`<section aria-labelledby="bill-title">
<h2 id="bill-title">Current costs</h2>
<div class="pair">
${figure('regions', 'Cost per month by region', null)}
${figure('largest', 'Cost per month of the most expensive volumes', null)}
</div>
${scrolling('Cost by region', regionTable(analysis.regions))}
<div class="pair">
${analysis.trend.length < 2 ? null : figure('trend', 'Cost over time', trendTable(analysis.trend))}
${figure('ages', 'Cost per month by age of the snapshots', html`<div id="ages-table"></div>`)}
</div>
</section>`;

/** The costs come first, because a narrow screen shows only the first columns without scrolling. */
const regionTable = (regions: readonly RegionAnalysis[]): Html => html`<table class="plain">
<thead><tr><th scope="col">Region</th><th scope="col" class="number">Cost per month</th>
<th scope="col" class="number">Saving per month</th><th scope="col" class="number">Snapshots</th>
<th scope="col" class="number">Volumes</th><th scope="col" class="number">GiB</th><th scope="col">Accounts</th></tr></thead>
<tbody>${regions.map(regionRow)}</tbody>
</table>`;

function regionRow(region: RegionAnalysis): Html {
  const { saving, savingIs } = totalOf(region.currency, [region]);
  return html`<tr><th scope="row"><bdi>${region.region}</bdi></th>
<td class="number">${money(region.monthly, region.currency)}</td>
<td class="number">${signed(money(saving, region.currency), savingIs)}</td>
<td class="number">${integer(region.snapshotCount)}</td><td class="number">${integer(region.volumes.length)}</td>
<td class="number">${gib(region.gib)}</td><td class="wrapping">${accounts(region.accounts)}</td></tr>`;
}

const MAX_ACCOUNTS = 3;

const accounts = (all: readonly string[]): string =>
  all.length > MAX_ACCOUNTS
    ? `${all.slice(0, MAX_ACCOUNTS - 1).join(', ')} and ${all.length - MAX_ACCOUNTS + 1} others`
    : all.join(', ');

const trendTable = (trend: readonly TrendMonth[]): Html =>
  scrolling(
    'Cost over time',
    html`<table class="plain">
<thead><tr><th scope="col">Month</th><th scope="col" class="number">Cost</th><th scope="col" class="number">GiB</th>
<th scope="col" class="number">Snapshots</th></tr></thead>
<tbody>${trend.map(
      ({ month, currency, cost, gib: size, snapshotCount }) => html`<tr><th scope="row">${day(month)}</th>
<td class="number">${money(cost, currency)}</td><td class="number">${gib(size)}</td>
<td class="number">${integer(snapshotCount)}</td></tr>`,
    )}</tbody>
</table>`,
  );
