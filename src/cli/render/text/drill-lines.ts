/** A drill as text, for people and for files of auditors. */
import type { DrillEvidence, DrillReport, DrillRow, SnapEvent } from '../../../events.ts';
import { formatBytes, formatDuration } from '../../../lib/units.ts';

export const VERDICTS: Record<DrillReport['verdict'], string> = {
  passed: 'PASSED: every archive that was chosen was restored, and is what was stored',
  differs: 'DIFFERENT: at least one archive is not what was stored',
  failed: 'FAILED: at least one archive could not be restored',
  nothing: 'NOTHING DRILLED: there was no archive to choose',
  unfinished: 'UNFINISHED: not every archive that was chosen has been restored',
};

export const EVIDENCE: Record<DrillEvidence, string> = {
  index: 'the hashes of its index',
  archive: 'the archive, fetched again',
  'archive-content': 'the archive, fetched again (content of files only)',
  snapshot: 'the snapshot',
};

export const describeChosen = ({ seed, snapshots, population }: SnapEvent & { code: 'drill.chosen' }): string =>
  `drill: ${snapshots.length} of ${describePopulation(population)} chosen by --seed ${seed}`;

export function describePopulation({ found, incomplete, archived }: DrillReport['population']): string {
  const others = [
    incomplete > 0 ? `${incomplete} not complete` : null,
    archived > 0 ? `${archived} that would have to be thawed` : null,
  ].filter(Boolean);
  return `${found} ${found === 1 ? 'archive' : 'archives'}${others.length === 0 ? '' : ` (${others.join(', ')})`}`;
}

export function describeDrilled(row: DrillRow): string {
  const { outcome, files, bytes, restoring, comparing, comparedWith, differenceCount } = row;
  const amount = `${files} files, ${formatBytes(bytes)}, restored in ${formatDuration(restoring)}`;
  const proof = comparedWith.map((evidence) => EVIDENCE[evidence]).join(', and with ');
  const compared = proof === '' ? '' : `, read again and compared with ${proof} in ${formatDuration(comparing)}`;
  const count = differenceCount === 0 ? '' : `; ${differenceCount} differences`;
  return `drill ${outcome}: ${amount}${compared}${count}`;
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
    `  chosen    ${report.archives.length} (--sample ${sample}, --seed ${seed}) of ${describePopulation(report.population)}`,
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
    `  ${row.snapshot} of ${row.volume}, started ${row.startTime}, stored ${row.storedAt}`,
    `    ${describeDrilled(row)}`,
    ...(row.reason === null ? [] : [`    ${row.reason}`]),
    ...differences,
    ...(rest > 0 ? [`    and ${rest} more`] : []),
  ];
}

const SHOWN = 10;
