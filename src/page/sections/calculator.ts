/** The frame of the calculator, which the script fills. */
import { type Html, html } from '../html.ts';

export const calculator = (): Html => html`<section aria-labelledby="calculator-title" id="calculator">
<h2 id="calculator-title">What if?</h2>
</section>`;
