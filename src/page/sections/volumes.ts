/** The empty list of recommendations, which the script fills. */
import type { Analysis } from '../../costs/analysis.ts';
import { type Html, html } from '../html.ts';
import { adviceOf } from '../model/summary.ts';
import { adviceGroup } from '../model/words.ts';

export const volumes = ({
  regions,
  assumptions,
}: Analysis): Html => html`<section id="volumes" aria-labelledby="volumes-title" tabindex="-1">
<h2 id="volumes-title">Recommendations by volume</h2>
<p class="lead">The best choice has the lowest cost over ${months(assumptions.keepMonths)}, including the cost of moving. Expand a volume to see the other choices and its snapshots.</p>
<form class="filters" id="filters" role="search" aria-label="Volumes">
<label>Search <input type="search" id="filter-text" placeholder="Name, id, description" autocomplete="off" spellcheck="false"></label>
<label>Region <select id="filter-region"><option value="">All regions</option>${options(regions.map(({ region }) => region))}</select></label>
<label>Best choice <select id="filter-choice"><option value="">All choices</option>${options(groups({ regions }))}</select></label>
<label class="narrow-only">Sort by <select id="sort-by"></select></label>
</form>
<p id="volumes-status" role="status" class="status"></p>
<div id="volumes-table"></div>
<div id="volumes-pager" class="pager"></div>
</section>`;

const options = (values: readonly string[]): Html[] =>
  [...new Set(values)].map((value) => html`<option value="${value}">${value}</option>`);

const groups = ({ regions }: Pick<Analysis, 'regions'>): string[] =>
  regions.flatMap(({ volumes: all }) => all.map((volume) => adviceGroup(adviceOf(volume)))).sort();

const months = (number: number): string => (number % 12 === 0 ? years(number / 12) : `${number} months`);

const years = (number: number): string => (number === 1 ? '1 year' : `${number} years`);
