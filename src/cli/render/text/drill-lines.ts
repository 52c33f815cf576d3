/** The report of a drill as text. */
import type { DrillEvidence, DrillReport, DrillRow, SnapEvent } from '../../../events.ts';
import { count, formatBytes, formatDuration } from '../../../lib/units.ts';

export const VERDICTS: Record<DrillReport['verdict'], string> = {
  passed: 'PASSED: every selected archive was restored, and the restored data matches what was archived',
  differs: 'DIFFERENT: the restored data of at least one archive differs from what was archived',
  failed: 'FAILED: at least one archive could not be restored',
  nothing: 'NOTHING DRILLED: no archive could be selected',
  unfinished: 'UNFINISHED: at least one selected archive has not been restored yet',
};

export const EVIDENCE: Record<DrillEvidence, string> = {
  index: 'the hashes of its index',
  archive: 'a second download of the archive',
  'archive-content': 'a second download of the archive (contents of files only)',
  snapshot: 'the snapshot',
};

export const describeChosen = ({ seed, snapshots, population }: SnapEvent & { code: 'drill.chosen' }): string =>
  `drill: selected ${snapshots.length} of ${describePopulation(population)} with --seed ${seed}`;

export function describePopulation({ found, incomplete, incremental, archived }: DrillReport['population']): string {
  const others = [
    incomplete > 0 ? `${incomplete} incomplete` : null,
    incremental > 0 ? `${incremental} incremental, which drill cannot restore yet` : null,
    archived > 0 ? `${archived} in archive classes` : null,
  ].filter(Boolean);
  return `${count(found, 'archive')}${others.length === 0 ? '' : ` (excluded: ${others.join(', ')})`}`;
}

export function describeDrilled(row: DrillRow): string {
  const { outcome, files, bytes, restoring, comparing, comparedWith, differenceCount } = row;
  const amount = `${count(files, 'file')}, ${formatBytes(bytes)}, restored in ${formatDuration(restoring)}`;
  const proof = comparedWith.map((evidence) => EVIDENCE[evidence]).join(', and with ');
  const compared = proof === '' ? '' : `, compared with ${proof} in ${formatDuration(comparing)}`;
  const differences = differenceCount === 0 ? '' : `; ${count(differenceCount, 'difference')}`;
  return `drill ${outcome}: ${amount}${compared}${differences}`;
}

export function describeDrill(report: DrillReport): string {
  const { startedAt, finishedAt, user, host, bucket, prefix, seed, sample, tool } = report;
  return [
    'Restore drill',
    `  verdict   ${VERDICTS[report.verdict]}`,
    `  when      ${startedAt} to ${finishedAt}`,
    `  by        ${user} on ${host}, with ${tool}`,
    `  caller    ${describeCaller(report)}`,
    ...report.warnings.map((warning) => `  warning   ${warning}`),
    `  bucket    s3://${bucket}/${prefix}`,
    `  selected  ${report.archives.length} (--sample ${sample}, --seed ${seed}) of ${describePopulation(report.population)}`,
    ...report.archives.flatMap(describeRow),
  ].join('\n');
}

export const describeCaller = ({ caller: { arn, account } }: DrillReport): string =>
  arn === 'unknown' ? arn : `${arn}, account ${account}`;

function describeRow(row: DrillRow): string[] {
  const differences = row.differences
    .slice(0, SHOWN)
    .map(({ kind, path, detail }) => `    ${kind}: ${path}${path === '' ? '' : ': '}${detail}`);
  const rest = row.differenceCount - differences.length;
  return [
    `  ${row.snapshot} of ${row.volume}, taken ${row.startTime}, archived ${row.storedAt}`,
    `    ${describeDrilled(row)}`,
    ...(row.reason === null ? [] : [`    ${row.reason}`]),
    ...differences,
    ...(rest > 0 ? [`    and ${rest} more`] : []),
  ];
}

/** Maximum number of differences in the text; the JSON report has more of them. */
const SHOWN = 10;
