/** The report of a drill as an HTML page for auditors. It has no scripts, loads nothing, and prints well. */
import type { DrillReport, DrillRow } from '../../../events.ts';
import { formatBytes, formatDuration } from '../../../lib/units.ts';
import { describeCaller, describePopulation, EVIDENCE, VERDICTS } from './drill-lines.ts';

export function drillPage(report: DrillReport): string {
  const { verdict, startedAt, finishedAt, user, host, bucket, prefix, seed, sample, filter, tool } = report;
  const selected = `${report.archives.length} of ${describePopulation(report.population)}, with --sample ${sample} --seed ${seed}`;
  const facts: [string, string][] = [
    ['Started', startedAt],
    ['Finished', finishedAt],
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
<table class="facts">
${facts.map(([name, value]) => `<tr><th scope="row">${safe(name)}</th><td>${safe(value)}</td></tr>`).join('\n')}
</table>
<h2>Archives</h2>
<table>
<thead><tr>${HEADINGS.map((heading) => `<th scope="col">${safe(heading)}</th>`).join('')}</tr></thead>
<tbody>
${report.archives.map(rowOf).join('\n')}
</tbody>
</table>
${report.archives.map(detailsOf).join('\n')}
<p class="note">Each archive was restored to a scratch directory, and the restored data was read again and compared. The scratch
directory was then removed. The same seed selects the same archives as long as the bucket contains the same archives.</p>
</body>
</html>
`;
}

const HEADINGS = [
  'Snapshot',
  'Volume',
  'Taken',
  'Archived',
  'Restored',
  'Verdict',
  'Files',
  'Size (bytes)',
  'Compared with',
  'Restore + comparison',
];

function rowOf(row: DrillRow): string {
  const cells = [
    row.snapshot,
    row.volume ?? '',
    row.startTime ?? '',
    row.storedAt ?? '',
    row.restoredAt,
    row.outcome,
    String(row.files),
    `${formatBytes(row.bytes)} (${row.bytes})`,
    row.comparedWith.map((evidence) => EVIDENCE[evidence]).join(', '),
    `${formatDuration(row.restoring)} + ${formatDuration(row.comparing)}`,
  ];
  const kind = row.outcome === 'passed' ? 'good' : 'bad';
  return `<tr class="${kind}">${cells.map((cell) => `<td>${safe(cell)}</td>`).join('')}</tr>`;
}

function detailsOf(row: DrillRow): string {
  const lines = row.differences.map(
    ({ kind, path, detail }) => `<li>${safe(kind)}: <code>${safe(path)}</code> ${safe(detail)}</li>`,
  );
  const rest = row.differenceCount - row.differences.length;
  const reason = row.reason === null ? '' : `<p>${safe(row.reason)}</p>`;
  const list = lines.length === 0 ? '' : `<ul>${lines.join('')}</ul>`;
  const more = rest > 0 ? `<p>and ${rest} more</p>` : '';
  const keys = row.keys.map((key) => `<li><code>${safe(key)}</code></li>`).join('');
  return `<section><h3>${safe(row.snapshot)}</h3><ul>${keys}</ul>${reason}${list}${more}</section>`;
}

function filterText({ volumes, snapshots, since, until }: DrillReport['filter']): string {
  const parts = [
    volumes.length > 0 ? `archives of volumes ${volumes.join(', ')}` : null,
    snapshots.length > 0 ? `archives of snapshots ${snapshots.join(', ')}` : null,
    since === null ? null : `snapshots taken on or after ${since}`,
    until === null ? null : `snapshots taken before ${until}`,
  ].filter(Boolean);
  return parts.length === 0 ? 'all archives' : parts.join('; ');
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Keys and the names of files can contain any text, including HTML. */
const safe = (text: string): string => text.replace(/[&<>"']/g, (letter) => ENTITIES[letter] ?? '');

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { border: 1px solid #bbb; padding: .3rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { background: #eee; }
.facts { width: auto; }
.verdict { font-size: 1.2rem; font-weight: bold; padding: .5rem .8rem; border-left: .4rem solid; }
.good td:nth-child(6), .verdict.good { color: #14602b; }
.bad td:nth-child(6), .verdict.bad { color: #a01818; }
code { font-size: 12px; overflow-wrap: anywhere; }
section { break-inside: avoid; }
.note { color: #555; font-size: 13px; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } table { font-size: 9px; } thead { display: table-header-group; } tr { break-inside: avoid; } }
@page { size: A4 landscape; margin: 12mm; }
`;
