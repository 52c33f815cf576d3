/** The operation `validate`: compares archives with their snapshots, or with their manifests and indexes. */
import type { Snapshot } from '../../cloud/ports.ts';
import { type ExitCode, SnapError } from '../../errors.ts';
import { requireTools } from '../../host/tools.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import { monotonic } from '../../lib/clock.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { sweepFinishedClaims } from '../clean/sweep-finished-claims.ts';
import { factsOfManifest } from '../marking/rewrite-manifest.ts';
import { requireManifest } from '../reading/bucket/origin.ts';
import type { Archive } from '../reading/find-archive.ts';
import { findArchivesById } from '../reading/find-archives.ts';
import type { ObjectFindings } from '../reading/object/object-findings.ts';
import { verifyObject } from '../reading/object/read-object.ts';
import { neededPacks } from '../reading/point/needed-packs.ts';
import { openPoint } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { BucketPlace } from '../shared/bucket-prices.ts';
import { requireRoot, toolsForFiles } from '../shared/preflight.ts';
import type { Services } from '../shared/services.ts';
import type { ValidateSettings } from '../shared/settings/validate.ts';
import { mayBeFree, underClaim } from '../sharing/claimed-work.ts';
import { runEach } from '../sharing/run-each.ts';
import { type Selected, select } from '../sharing/select.ts';
import { stopOnInstanceNotice } from '../sharing/stop-on-instance-notice.ts';
import { assertThawed } from '../thaw/archived-objects.ts';
import { reportCheck } from '../verify/check-archive.ts';
import { withIndex } from '../verify/check-index.ts';
import { unarchivedByManifest } from '../verify/check-manifest.ts';
import { checkPacks } from '../verify/check-packs.ts';
import { ownReference } from '../verify/own-reference.ts';
import { noteDifference } from './note-verdict.ts';
import { validateSnapshot } from './validate-snapshot.ts';

/**
 * @returns `EXIT.ok`; `EXIT.differs` if anything differs; otherwise the exit codes of `migrate`.
 * @throws SnapError the reason if the work cannot start; `INTERRUPTED` if it was stopped.
 */
export async function validate(settings: ValidateSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  await sweepKilledRuns(signal);
  return settings.archiveOnly
    ? validateArchivesAlone(settings, services, signal)
    : validateSnapshots(settings, services, signal);
}

async function validateSnapshots(
  settings: ValidateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  requireRoot();
  const forXattrs = settings.contentOnly ? [] : ['getfattr'];
  requireTools(['mkfifo', 'blkid', 'sfdisk', ...toolsForFiles(settings.source), ...forXattrs], services.searchPath);
  await services.store.check({ signal });
  if (settings.source === 'volume') await services.instance();
  await sweepFinishedClaims(settings, services, signal);
  const selected = await select(settings, services, signal);
  return stopOnInstanceNotice(services, signal, (running) => validateEach(selected, settings, services, running));
}

function validateEach(
  { snapshots, refused }: Selected,
  settings: ValidateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  return runEach({
    command: 'validate',
    // The validation of a point reads the packs that those of older points have not read.
    items: snapshots.toSorted((a, b) => a.startTime.getTime() - b.startTime.getTime()),
    concurrency: settings.concurrency,
    idOf: ({ id }: Snapshot) => id,
    refused,
    host: services.host,
    signal,
    work: (snapshot, onDone) =>
      underClaim({ snapshot, command: 'validate', settings }, services, signal, async (fresh, claim, working) => {
        const { id, volumeId: volume, sizeGiB } = fresh;
        services.host.notify({ code: 'snapshot.started', snapshot: id, volume, sizeGiB });
        await validateSnapshot(fresh, settings, services, { claim, signal: working, onDone });
        return 'done';
      }),
    mayBeFree: settings.selection.by === 'tag' ? ({ id }) => mayBeFree(id, settings, services, signal) : null,
  });
}

/** Needs only the bucket: no snapshot, no instance and no root. */
async function validateArchivesAlone(
  settings: ValidateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  requireTools(['mkfifo'], services.searchPath);
  await services.store.check({ signal });
  const ids = settings.selection.by === 'id' ? settings.selection.ids : null;
  const { archives, missing } = await findArchivesById(ids, settings.prefix, services, signal);
  if (archives.length === 0 && missing.length === 0) {
    throw new SnapError('NOTHING_TO_DO', `there are no archives in ${services.store.bucket}`, {
      hint: 'check --prefix',
    });
  }
  const check = {
    ...services,
    signal,
    streams: settings.downloadStreams,
    sessionKey: settings.sessionKey,
  };
  return runEach({
    command: 'validate',
    items: archives,
    concurrency: settings.concurrency,
    idOf: ({ snapshotId }) => snapshotId,
    refused: missing,
    host: services.host,
    signal,
    work: async (archive) => {
      await requireManifest(archive, () => settings.withoutManifest, services, signal);
      await checkAlone(archive, check);
      return 'done';
    },
    mayBeFree: null,
  });
}

/** Records in the manifest that the archive differs or is damaged. */
async function checkAlone(archive: Archive, services: ReadContext & Services): Promise<void> {
  try {
    await compareAlone(archive, services);
  } catch (failure) {
    const manifest = archive.manifest ?? archive.point;
    if (manifest) await noteDifference(failure, archive, factsOfManifest(manifest.key, services), services);
    throw failure;
  }
}

async function compareAlone(
  { snapshotId, objects, manifest, point }: Archive,
  services: ReadContext & BucketPlace,
): Promise<void> {
  if (point) {
    const opened = await openPoint(point, services);
    const keys = neededPacks(opened).map(({ pack }) => pack.key);
    await assertThawed(keys, services, services.signal);
    return checkPacks(opened, services);
  }
  const started = monotonic();
  const checks: ObjectFindings[] = [];
  await assertThawed(
    objects.map(({ key }) => key),
    services,
    services.signal,
  );
  for (const object of objects) {
    await using temporary = temporaryDirectory();
    const { reference, differences } = await ownReference(object, snapshotId, temporary.path, services);
    checks.push(withIndex(await verifyObject(object, snapshotId, reference, services), differences));
  }
  const missing = manifest ? unarchivedByManifest(manifest.content) : [];
  reportCheck(snapshotId, 'archive-only', { checks, missing, notKept: [] }, (monotonic() - started) / 1000, services);
}
