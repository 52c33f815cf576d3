/** The HTML around charts and tables. */
import { type Html, html } from '../html.ts';

/** A chart with the same data as a table, because screen readers cannot read a canvas. */
export const figure = (id: string, title: string, table: Html | null): Html => html`<figure class="chart">
<figcaption><h3 id="${id}-title">${title}</h3><div class="tools" id="${id}-tools"></div></figcaption>
<div class="canvas"><canvas id="${id}" role="img" aria-labelledby="${id}-title"></canvas></div>
<p class="note" id="${id}-note" hidden></p>
${table === null ? null : html`<details><summary>Show as table</summary>${table}</details>`}
</figure>`;

/** A table that scrolls horizontally by itself if it is too wide; it can be focused, to scroll it with the keyboard. */
export const scrolling = (name: string, table: Html): Html =>
  html`<div class="scrolling" role="region" aria-label="${name}" tabindex="0">${table}</div>`;
