/** The report of a drill as text. */
import type { DrillEvidence, DrilledPack, DrillReport, DrillRow, SnapEvent } from '../../../events.ts';
import { sum } from '../../../lib/sum.ts';
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
  'block-lists': 'the hashes of its block lists',
  archive: 'a second download of the archive',
  'archive-content': 'a second download of the archive (contents of files only)',
  snapshot: 'the snapshot',
};

export const describeChosen = ({ seed, snapshots, population }: SnapEvent & { code: 'drill.chosen' }): string =>
  `drill: selected ${snapshots.length} of ${describePopulation(population)} with --seed ${seed}`;

export function describePopulation({ found, incomplete, incremental, archived }: DrillReport['population']): string {
  const excluded = [
    incomplete > 0 ? `${incomplete} incomplete` : null,
    archived > 0 ? `${archived} in archive classes` : null,
  ].filter(Boolean);
  const notes = [
    ...(incremental > 0 ? [`${incremental} of them incremental`] : []),
    ...(excluded.length > 0 ? [`excluded: ${excluded.join(', ')}`] : []),
  ];
  return `${count(found, 'archive')}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
}

export function describeDrilled(row: DrillRow): string {
  const { outcome, files, bytes, restoring, comparing, comparedWith, differenceCount } = row;
  const packs = row.packs === null ? count(files, 'file') : describePacks(row.packs);
  const amount = `${packs}, ${formatBytes(bytes)}, restored in ${formatDuration(restoring)}`;
  const proof = comparedWith.map((evidence) => EVIDENCE[evidence]).join(', and with ');
  const compared = proof === '' ? '' : `, compared with ${proof} in ${formatDuration(comparing)}`;
  const differences = differenceCount === 0 ? '' : `; ${count(differenceCount, 'difference')}`;
  return `drill ${outcome}: ${amount}${compared}${differences}`;
}

function describePacks(packs: readonly DrilledPack[]): string {
  const generations = new Set(packs.map(({ generation }) => generation)).size;
  return `read ${count(packs.length, 'pack')} of ${count(generations, 'generation')}`;
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
    ...generationsOf(row.packs ?? []).map((line) => `    ${line}`),
    ...differences,
    ...(rest > 0 ? [`    and ${rest} more`] : []),
  ];
}

/** One line per generation, and one per damaged pack: a point may need thousands of packs. */
function generationsOf(packs: readonly DrilledPack[]): string[] {
  const byGeneration = Map.groupBy(packs, ({ generation }) => generation);
  const read = [...byGeneration].map(([generation, own]) => {
    const blocks = sum(own.map((pack) => pack.blocks));
    const bytes = sum(own.map(({ fetchedBytes }) => fetchedBytes));
    return `${count(own.length, 'pack')} of ${generation}: ${count(blocks, 'block')}, ${formatBytes(bytes)} read`;
  });
  return [...read, ...packs.filter(({ damage }) => damage !== null).map(describePack)];
}

/** For example `KEY of snap-1: 3 blocks, 1.20 MiB read`. */
export function describePack({ key, generation, blocks, fetchedBytes, damage }: DrilledPack): string {
  const read = `${key} of ${generation}: ${count(blocks, 'block')}, ${formatBytes(fetchedBytes)} read`;
  if (damage === null) return read;
  const { neededBy, unknown } = damage;
  const unclear = unknown === null ? 'the other points of the volume' : unknown.join(', ');
  return `${read}; damaged, and needed by ${neededBy.join(', ')}${unclear === '' ? '' : `; unknown for ${unclear}`}`;
}

/** Maximum number of differences in the text; the JSON report has more of them. */
const SHOWN = 10;
