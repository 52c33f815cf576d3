/** The empty calculator, which the script fills. */
import { type Html, html } from '../html.ts';
import { figure } from './figure.ts';

export const calculator = (): Html => html`<section aria-labelledby="calculator-title" id="calculator">
<h2 id="calculator-title">What would other storage cost?</h2>
<p class="lead">This is the monthly cost of all snapshots of one full volume, in each kind of storage. The initial values are the averages of your volumes. Costs of moving and restoring are not included.</p>
<div class="calculator">
<form class="controls" id="calculator-controls" aria-label="Volume and prices"></form>
<div class="result">
<p class="conclusion" id="calculator-conclusion" role="status"></p>
${figure('options', 'Cost per month', null)}
<div id="options-table"></div>
</div>
</div>
</section>`;
