/** An analysis as a self-contained HTML file, which loads nothing from the network. */
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
 * All text in `analysis` is untrusted. It is escaped, and the content security policy permits only the script and the style
 * of the page, and no network access.
 * @param prices the prices of the analysis, which the calculator uses.
 * @returns a complete HTML document.
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

/** Permits only the script and the style with these hashes, and prevents scripts from converting text to markup. */
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
    : `EBS snapshot costs: ${roundMoney(total.monthly, total.currency)} per month`;
}
