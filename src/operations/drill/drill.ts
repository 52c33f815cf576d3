/** The operation `drill`: restores a random sample of archives to prove that they can be restored. */
import { hostname, tmpdir } from 'node:os';
import { asError, EXIT, type ExitCode, SnapError } from '../../errors.ts';
import type { DrillReport, DrillRow } from '../../events.ts';
import { removeTree } from '../../host/remove-tree.ts';
import { requireTools } from '../../host/tools.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import { now } from '../../lib/clock.ts';
import { rootFailure } from '../../lib/disposal.ts';
import { orphanedDirectories } from '../../lib/temporary-files.ts';
import { VERSION } from '../../version.ts';
import { requireManifest } from '../reading/bucket/origin.ts';
import type { FoundArchive } from '../reading/bucket/scan-bucket.ts';
import { archiveOf } from '../reading/find-archive.ts';
import { whilePinned } from '../reading/while-pinned.ts';
import { isPoint } from '../restore/point/plan-point.ts';
import { LOCKING_TOOL } from '../shared/lock-file.ts';
import { requireRoot, toolsForFiles } from '../shared/preflight.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import { runEach } from '../sharing/run-each.ts';
import { makeReadable } from '../thaw/thaw.ts';
import { compareWithSnapshot } from '../verify/compare-snapshot.ts';
import { type Drilling, drillObjects, emptyRow } from './drill-archive.ts';
import { drillCaller } from './drill-caller.ts';
import { drillPoint } from './drill-point.ts';
import { chooseSample, type DrillSample } from './drill-sample.ts';
import { keysToRead, manifestIn } from './keys-to-read.ts';

/**
 * Notifies the host of the report as `drill.finished`, also if the drill is interrupted.
 * @returns `EXIT.ok` if all archives match; `EXIT.differs` if anything differs; `EXIT.nothingToDo` if there is no archive;
 *   otherwise the exit codes of `restore`.
 * @throws SnapError the reason if the drill cannot start; `INTERRUPTED`.
 */
export async function drill(settings: DrillSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const base = settings.scratch ?? tmpdir();
  if (settings.withSnapshot) requireRoot();
  requireTools([LOCKING_TOOL, 'mkfifo', 'tar', 'touch', 'rm', ...otherTools(settings)], services.searchPath);
  await sweepKilledRuns(signal);
  if (settings.scratch !== null) await sweepScratch(settings.scratch, signal);
  await services.store.check({ signal });
  const start = { startedAt: now(), ...(await drillCaller(services, signal)) };
  const sample = await chooseSample(settings, services, signal);
  const snapshots = sample.chosen.map(({ id }) => id);
  services.host.notify({ code: 'drill.chosen', seed: settings.seed, snapshots, population: sample.population });
  const rows: DrillRow[] = [];
  try {
    if (sample.chosen.length === 0) return EXIT.nothingToDo;
    await thawAll(sample.chosen, settings, services, signal);
    return await drillEach(sample.chosen, rows, { settings, services, base, signal });
  } finally {
    const report = reportOf(settings, services, sample, rows, start);
    services.host.notify({ code: 'drill.finished', report });
  }
}

const otherTools = ({ withSnapshot, source }: DrillSettings): string[] => [
  ...(process.getuid?.() === 0 ? ['getfattr'] : []),
  ...(withSnapshot ? ['blkid', 'sfdisk', ...toolsForFiles(source)] : []),
];

/** Removes the directories that killed drills have left in the scratch directory. */
async function sweepScratch(scratch: string, signal: AbortSignal): Promise<void> {
  try {
    for (const path of orphanedDirectories(scratch)) await removeTree(path, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new SnapError('TARGET', `cannot use the scratch directory ${scratch}: ${asError(cause).message}`, {
      hint: 'specify an existing, writable directory with --scratch',
      cause,
    });
  }
}

/** Errors that concern one archive alone. Its own drill reports them, so that the others are still drilled. */
const LATER = ['THAWING', 'ACCESS_DENIED', 'CLOUD_CALL', 'NOT_FOUND', 'DIFFERS', 'MANIFEST', 'GPG_KEY'];

/** Requests the thaw of all archives first, so that the drill waits only once. */
async function thawAll(
  chosen: readonly FoundArchive[],
  settings: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { thaw } = settings;
  if (!thaw) return;
  for (const found of chosen) {
    try {
      const keys = await keysToRead(found, settings, services, signal);
      await makeReadable(found.id, keys, { ...thaw, wait: false }, { ...services, signal });
    } catch (error) {
      const { failure } = rootFailure(error);
      if (!(failure instanceof SnapError) || !LATER.includes(failure.code)) throw error;
    }
  }
}

const drillEach = (chosen: readonly FoundArchive[], rows: DrillRow[], drilling: Drilling): Promise<ExitCode> =>
  runEach({
    command: 'drill',
    items: chosen,
    concurrency: 1,
    idOf: ({ id }) => id,
    refused: [],
    host: drilling.services.host,
    signal: drilling.signal,
    work: async (found) => {
      const row = emptyRow(found);
      rows.push(row);
      await drillOne(found, row, drilling);
      return 'done';
    },
    mayBeFree: null,
  });

async function readArchive(found: FoundArchive, { store }: Services, signal: AbortSignal) {
  const manifest = await manifestIn(found, { store }, signal);
  const keys = found.data.map(({ key }) => key);
  return archiveOf(found.id, manifest, keys, store, signal);
}

async function drillOne(found: FoundArchive, row: DrillRow, drilling: Drilling): Promise<void> {
  const { settings, services, signal } = drilling;
  try {
    const archive = await readArchive(found, services, signal);
    await requireManifest(archive, () => settings.withoutManifest, services, signal);
    const pins = { prefix: settings.prefix, thaw: settings.thaw ?? { days: 0 } };
    await whilePinned(archive, pins, services, signal, async () => {
      if (isPoint(archive)) await drillPoint(archive, row, drilling);
      else await drillObjects(archive, row, drilling);
      if (settings.withSnapshot) await compareWithSnapshot(archive, row, settings, services, signal);
    });
    row.outcome = 'passed';
  } catch (error) {
    const { failure } = rootFailure(error);
    row.outcome = outcomeOf(failure);
    row.reason = asError(failure).message;
    throw error;
  } finally {
    services.host.notify({ code: 'archive.drilled', snapshot: found.id, row });
  }
}

function outcomeOf(failure: unknown): DrillRow['outcome'] {
  const code = failure instanceof SnapError ? failure.code : null;
  if (code === 'DIFFERS') return 'differs';
  return code === 'THAWING' || code === 'INTERRUPTED' ? 'unfinished' : 'failed';
}

interface DrillStart extends Pick<DrillReport, 'caller' | 'warnings'> {
  startedAt: Date;
}

function reportOf(
  settings: DrillSettings,
  { store }: Services,
  { chosen, population }: DrillSample,
  archives: DrillRow[],
  { startedAt, caller, warnings }: DrillStart,
): DrillReport {
  const { prefix, volumes, snapshots, since, until, seed, sample, user } = settings;
  return {
    format: 1,
    kind: 'drill',
    verdict: verdictOf(chosen.length, archives),
    tool: `snap-to-s3 ${VERSION}`,
    startedAt: startedAt.toISOString(),
    finishedAt: now().toISOString(),
    user,
    host: hostname(),
    caller,
    warnings,
    bucket: store.bucket,
    prefix,
    filter: { volumes, snapshots, since: since?.toISOString() ?? null, until: until?.toISOString() ?? null },
    seed,
    sample,
    population,
    archives,
  };
}

function verdictOf(chosen: number, rows: readonly DrillRow[]): DrillReport['verdict'] {
  if (rows.some(({ outcome }) => outcome === 'differs')) return 'differs';
  if (rows.some(({ outcome }) => outcome === 'failed')) return 'failed';
  if (chosen === 0) return 'nothing';
  return rows.length < chosen || rows.some(({ outcome }) => outcome === 'unfinished') ? 'unfinished' : 'passed';
}
