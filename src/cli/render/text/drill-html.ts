/** The report of a drill as an HTML page for auditors. It has no scripts, loads nothing, and prints well. */
import type { DrillReport, DrillRow } from '../../../events.ts';
import { count, formatBytes, formatDuration } from '../../../lib/units.ts';
import { describeCaller, describePack, describePopulation, EVIDENCE, VERDICTS } from './drill-lines.ts';

export function drillPage(report: DrillReport): string {
  const { verdict, startedAt, finishedAt, user, host, bucket, prefix, seed, sample, filter, tool } = report;
  const selected = `${report.archives.length} of ${describePopulation(report.population)}, with --sample ${sample} --seed ${seed}`;
  const facts: [string, string][] = [
    ['Started', utc(startedAt)],
    ['Finished', utc(finishedAt)],
    ['Run by', `${user} on ${host}`],
    ['AWS caller', describeCaller(report)],
    ['Program', tool],
    ['Bucket', `s3://${bucket}/${prefix}`],
    ['Selected from', filterText(filter)],
    ['Selected', selected],
    ...report.warnings.map((warning): [string, string] => ['Warning', warning]),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Restore drill of ${safe(startedAt.slice(0, 10))}: ${safe(verdict)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Restore drill</h1>
<p class="verdict ${verdict === 'passed' ? 'good' : 'bad'}">${safe(VERDICTS[verdict])}</p>
${factsTable(facts.map(([name, value]) => [name, safe(value)]))}
<h2>Archives</h2>
<div class="scrolling" role="region" aria-label="Archives" tabindex="0"><table>
<thead><tr>${HEADINGS.map((heading) => `<th scope="col">${safe(heading)}</th>`).join('')}</tr></thead>
<tbody>
${report.archives.map(rowOf).join('\n')}
</tbody>
</table></div>
${report.archives.map(detailsOf).join('\n')}
<p class="note">Each archive was restored to a scratch directory, and the restored data was read again and compared. The scratch
directory was then removed. The same seed selects the same archives as long as the bucket contains the same archives.</p>
</body>
</html>
`;
}

/** @param facts names, with values that are HTML already. */
const factsTable = (facts: readonly (readonly [string, string])[]): string =>
  `<table class="facts">
${facts.map(([name, value]) => `<tr><th scope="row">${safe(name)}</th><td>${value}</td></tr>`).join('\n')}
</table>`;

/** The verdict comes second, because a narrow screen shows only the first columns without scrolling. */
const HEADINGS = ['Snapshot', 'Verdict', 'Volume', 'Files', 'Restored data', 'Duration'];

function rowOf(row: DrillRow): string {
  const cells = [
    row.snapshot,
    row.outcome,
    row.volume ?? '',
    String(row.files),
    formatBytes(row.bytes),
    formatDuration(row.restoring + row.comparing),
  ];
  return `<tr class="${classOf(row)}">${cells.map((cell) => `<td>${safe(cell)}</td>`).join('')}</tr>`;
}

const classOf = ({ outcome }: DrillRow): string => (outcome === 'passed' ? 'good' : 'bad');

function detailsOf(row: DrillRow): string {
  const { startTime, storedAt, restoredAt, files, bytes, restoring, comparing, comparedWith, reason } = row;
  const facts: [string, string | null][] = [
    ['Snapshot taken', startTime && safe(utc(startTime))],
    ['Archived', storedAt && safe(utc(storedAt))],
    ['Restored', safe(utc(restoredAt))],
    [
      'Restored data',
      `${safe(formatBytes(bytes))} (${bytes} bytes)${files === 0 ? '' : ` in ${count(files, 'file')}`}`,
    ],
    ['Duration', `restored in ${formatDuration(restoring)}, compared in ${formatDuration(comparing)}`],
    ['Compared with', safe(comparedWith.map((evidence) => EVIDENCE[evidence]).join(', and with ')) || null],
    row.packs === null || row.packs.length === 0
      ? ['Objects', listOf(row.keys.map((key) => `<code>${safe(key)}</code>`))]
      : ['Packs', listOf(row.packs.map((pack) => safe(describePack(pack))))],
    ['Reason', reason && safe(reason)],
    ['Differences', differencesOf(row)],
  ];
  const known = facts.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : []));
  return `<section class="${classOf(row)}"><h3>${safe(row.snapshot)}: <span class="outcome">${safe(row.outcome)}</span></h3>
${factsTable(known)}</section>`;
}

function differencesOf({ differences, differenceCount }: DrillRow): string | null {
  const lines = differences.map(
    ({ kind, path, detail }) => `${safe(kind)}: ${path === '' ? '' : `<code>${safe(path)}</code>: `}${safe(detail)}`,
  );
  const rest = differenceCount - lines.length;
  return listOf(rest > 0 ? [...lines, `and ${rest} more`] : lines);
}

const listOf = (items: readonly string[]): string | null =>
  items.length === 0 ? null : `<ul>${items.map((item) => `<li>${item}</li>`).join('')}</ul>`;

/** `2026-11-22T22:31:00.000Z` → `2026-11-22 22:31:00 UTC`; any other text is returned unchanged. */
const utc = (instant: string): string =>
  instant.replace(/^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d+)?(?:Z|\+00:00)$/, '$1 $2 UTC');

function filterText({ volumes, snapshots, since, until }: DrillReport['filter']): string {
  const parts = [
    volumes.length > 0 ? `archives of volumes ${volumes.join(', ')}` : null,
    snapshots.length > 0 ? `archives of snapshots ${snapshots.join(', ')}` : null,
    since === null ? null : `snapshots taken on or after ${utc(since)}`,
    until === null ? null : `snapshots taken before ${utc(until)}`,
  ].filter(Boolean);
  return parts.length === 0 ? 'all archives' : parts.join('; ');
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Keys and the names of files can contain any text, including HTML. */
const safe = (text: string): string => text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? '');

const STYLE = `
:root { color-scheme: light dark; --text: #1a1a1a; --back: #fff; --line: #bbb; --head: #eee; --muted: #555; --good: #14602b; --bad: #a01818; }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e4e8ea; --back: #14181b; --line: #4a545b; --head: #232a2f; --muted: #a1acb4; --good: #5fcf8a; --bad: #ff9a8f; }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: var(--text); background: var(--back); }
table { border-collapse: collapse; font-size: 13px; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
th { white-space: nowrap; }
thead th { background: var(--head); }
.scrolling { overflow-x: auto; }
.scrolling table { width: 100%; }
.scrolling td { white-space: nowrap; }
.facts td, code { overflow-wrap: anywhere; }
.facts ul { margin: 0; padding-left: 1.2rem; }
.verdict { font-size: 1.2rem; font-weight: bold; padding: .5rem .8rem; border-left: .4rem solid; }
.good td:nth-child(2), .good .outcome, .verdict.good { color: var(--good); }
.bad td:nth-child(2), .bad .outcome, .verdict.bad { color: var(--bad); }
code { font-size: 12px; }
section { break-inside: avoid; }
.note { color: var(--muted); font-size: 13px; }
@media (max-width: 40rem) {
  .facts, .facts tbody, .facts tr, .facts th, .facts td { display: block; }
  .facts th { border-bottom: 0; padding-bottom: 0; }
  .facts td { border-top: 0; }
}
@media print { body { margin: 0; max-width: none; font-size: 11px; } table { font-size: 9px; } thead { display: table-header-group; } tr { break-inside: avoid; } }
@page { size: A4 landscape; margin: 12mm; }
`;
