/** The frame of the calculator, which the script fills. */
import { type Html, html } from '../html.ts';
import { figure } from './figure.ts';

export const calculator = (): Html => html`<section aria-labelledby="calculator-title" id="calculator">
<h2 id="calculator-title">What would it cost elsewhere?</h2>
<p class="lead">A full volume with so many snapshots, each of which changed so much, by where they are kept. To begin with, it is set to what your volumes are on average; moving them and getting them back comes on top.</p>
<div class="calculator">
<form class="controls" id="calculator-controls" aria-label="What is kept"></form>
<div class="result">
<p class="conclusion" id="calculator-conclusion" role="status"></p>
${figure('options', 'Cost a month', null)}
<div id="options-table"></div>
</div>
</div>
</section>`;
