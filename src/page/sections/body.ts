/** The body of the page. It contains everything that can be shown without a script. */
import type { Analysis, AnalysisWarning } from '../../costs/analysis.ts';
import { type Html, html } from '../html.ts';
import { totalsOf } from '../model/summary.ts';
import { day, integer, sentence } from '../model/words.ts';
import { bill } from './bill.ts';
import { calculator } from './calculator.ts';
import { headline } from './headline.ts';
import { sources } from './sources.ts';
import { volumes } from './volumes.ts';

export const body = (analysis: Analysis): Html => html`<a class="skip" href="#volumes">Skip to the recommendations</a>
<header class="top">
<p class="eyebrow">EBS snapshot costs</p>
<p class="made">${period(analysis)}</p>
</header>
<main>
${headline(totalsOf(analysis.regions))}
${warnings(analysis)}
<noscript><p class="note">The charts, the list of volumes and the calculator need JavaScript, which is disabled in this browser.</p></noscript>
${bill(analysis)}
${volumes(analysis)}
${calculator()}
${sources(analysis)}
</main>
<footer>Created by ${analysis.tool.name} ${analysis.tool.version} on ${day(analysis.madeAt)}. This file contains all of its data and loads nothing from the network.</footer>`;

function period({ basis }: Analysis): string {
  if (basis.kind === 'live') return `As of ${day(basis.latestDay)}, from EC2 and the EBS direct APIs`;
  return `${day(basis.firstDay)} to ${day(basis.latestDay)}, from billing reports`;
}

/** Number of warnings that are always visible; there can be several for each region. */
const MAX_WARNINGS = 5;

const list = (warnings: readonly AnalysisWarning[]): Html =>
  html`<ul>${warnings.map(({ text }) => html`<li>${sentence(text)}</li>`)}</ul>`;

const warnings = ({ warnings: all }: Analysis): Html | null =>
  all.length === 0
    ? null
    : html`<section class="warnings" aria-labelledby="warnings-title">
<h2 id="warnings-title">Check before you decide</h2>
${list(all.slice(0, MAX_WARNINGS))}
${all.length > MAX_WARNINGS ? html`<details><summary>${integer(all.length - MAX_WARNINGS)} more</summary>${list(all.slice(MAX_WARNINGS))}</details>` : null}
</section>`;
