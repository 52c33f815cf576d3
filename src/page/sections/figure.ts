/** Frames of charts and tables. */
import { type Html, html } from '../html.ts';

/** A chart is a picture: what it shows is in a table, too. */
export const figure = (id: string, title: string, table: Html | null): Html => html`<figure class="chart">
<figcaption><h3 id="${id}-title">${title}</h3><div class="tools" id="${id}-tools"></div></figcaption>
<div class="canvas"><canvas id="${id}" role="img" aria-labelledby="${id}-title"></canvas></div>
<p class="note" id="${id}-note" hidden></p>
${table === null ? null : html`<details><summary>As a table</summary>${table}</details>`}
</figure>`;

/** Only the table scrolls sideways where it is too wide, and by keyboard, too. */
export const scrolling = (name: string, table: Html): Html =>
  html`<div class="scrolling" role="region" aria-label="${name}" tabindex="0">${table}</div>`;
