/** An analysis as one HTML file for people who decide: it needs nothing else, and asks nobody for anything. */
import { createHash } from 'node:crypto';
import type { Analysis } from '../costs/analysis.ts';
import type { Prices } from '../costs/price-types.ts';
import { readAssets } from './assets.ts';
import { html, scriptJson, trusted } from './html.ts';
import { pageData } from './model/page-data.ts';
import { totalsOf } from './model/summary.ts';
import { roundMoney } from './model/words.ts';
import { body } from './sections/body.ts';

/**
 * @param prices what the calculator starts from: those that the analysis was made with.
 * @returns a whole HTML document. Everything in `analysis` is untrusted: it becomes text, and the page's policy lets no
 * script run but ours, and nothing be fetched.
 */
export function renderPage(analysis: Analysis, prices: Prices): string {
  const { style, script } = readAssets();
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(style, script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>${title(analysis)}</title>
<style>${trusted(style)}</style>
</head>
<body>
${body(analysis)}
<script type="application/json" id="data">${scriptJson(pageData(analysis, prices))}</script>
<script>${trusted(script)}</script>
</body>
</html>
`.source;
}

/** Nothing but what is named by its hash; no text may become markup by a script either. */
const policy = (style: string, script: string): string =>
  [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

function title({ regions }: Analysis): string {
  const [total] = totalsOf(regions);
  return total === undefined
    ? 'EBS snapshot costs'
    : `EBS snapshot costs: ${roundMoney(total.monthly, total.currency)} a month`;
}
