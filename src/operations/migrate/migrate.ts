/** The operation `migrate`: archives all selected snapshots. */
import { objectTags } from '../../archive/tags.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { type ExitCode, SnapError } from '../../errors.ts';
import type { ExistingArchive } from '../../events.ts';
import { sweepKilledRuns } from '../../host/volumes/killed-runs.ts';
import { isCopyVolume } from '../../lib/aws-names.ts';
import { sweepFinishedClaims } from '../clean/sweep-finished-claims.ts';
import { bucketPrices } from '../shared/bucket-prices.ts';
import { preflight } from '../shared/preflight.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import { mayBeFree, underClaim } from '../sharing/claimed-work.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import { InOrder } from '../sharing/in-order.ts';
import { runEach, verdictOf, type WorkOutcome } from '../sharing/run-each.ts';
import { type Selected, select } from '../sharing/select.ts';
import { reportNoRoom } from '../sharing/state-tag.ts';
import { stopOnInstanceNotice } from '../sharing/stop-on-instance-notice.ts';
import { validateSnapshot } from '../validate/validate-snapshot.ts';
import { findExisting } from './existing-archive.ts';
import { keepArchive } from './keep-archive.ts';
import { migrateSnapshot } from './migrate-snapshot.ts';
import { planSnapshot } from './plan.ts';
import { withoutManifest } from './without-manifest.ts';

/**
 * @returns `EXIT.ok`; `EXIT.someFailed` if some snapshots failed and others did not; otherwise the exit code of the failures.
 * @throws SnapError the reason if the work cannot start; `INTERRUPTED` if it was stopped.
 */
export async function migrate(settings: MigrateSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  await sweepKilledRuns(signal);
  await preflight(settings, services, signal);
  if (!settings.dryRun) await sweepFinishedClaims(settings, services, signal);
  const { snapshots, refused } = await select(settings, services, signal);
  if (settings.dryRun) return showPlans({ snapshots, refused }, settings, services, signal);
  return stopOnInstanceNotice(services, signal, (running) =>
    migrateEach({ snapshots, refused }, settings, services, running),
  );
}

async function migrateEach(
  { snapshots, refused }: Selected,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  const volumes = new InOrder();
  const { prices } = await bucketPrices(services, signal);
  return runEach({
    command: 'migrate',
    priceRegion: prices.region,
    items: settings.incremental ? snapshots.toSorted(byStartTime) : snapshots,
    concurrency: settings.concurrency,
    idOf: ({ id }) => id,
    refused,
    host: services.host,
    signal,
    work: (snapshot, onDone) => {
      const work = () =>
        underClaim({ snapshot, command: 'migrate', settings }, services, signal, async (fresh, claim, working) => {
          const run = { snapshot: fresh, settings, services, claim, signal: working, onDone };
          return migrateOrKeep(run);
        });
      return settings.incremental ? volumes.run(groupOf(snapshot), work) : work();
    },
    mayBeFree: settings.selection.by === 'tag' ? ({ id }) => mayBeFree(id, settings, services, signal) : null,
  });
}

/** A point continues the previous one of its volume, so that this one must be complete before. */
const byStartTime = (a: Snapshot, b: Snapshot): number => a.startTime.getTime() - b.startTime.getTime();

/** Copies have no volume in common, although EC2 shows the same id for all of them. */
const groupOf = ({ id, volumeId }: Snapshot): string => (isCopyVolume(volumeId) ? id : volumeId);

interface OneRun {
  snapshot: Snapshot;
  settings: MigrateSettings;
  services: Services;
  claim: HeldClaim;
  signal: AbortSignal;
  onDone: () => void;
}

/** Keeps a complete archive, and validates it if `settings.validate` is set and it was not validated yet. */
async function migrateOrKeep({ snapshot, settings, services, claim, signal, onDone }: OneRun): Promise<WorkOutcome> {
  const { id, volumeId: volume, sizeGiB } = snapshot;
  const { host } = services;
  host.notify({ code: 'snapshot.started', snapshot: id, volume, sizeGiB });
  const existing = await findExisting(snapshot, settings, services, signal);
  if (existing?.action === 'keep') {
    await keepArchive(snapshot, settings, services, claim, signal);
    return { skipped: existing.reason };
  }
  if (existing?.action === 'validate') {
    const { uploadStreams: downloadStreams } = settings;
    const how = { contentOnly: false, archiveOnly: false, withoutManifest: false, sessionKey: null };
    const proof = { ...settings, ...how, downloadStreams };
    await validateSnapshot(snapshot, proof, services, { claim, signal, onDone });
    return 'done';
  }
  if (existing) host.notify({ code: 'archive.replaced', snapshot: id, reason: existing.reason });
  warnOfTags(snapshot, settings, services);
  await migrateSnapshot(snapshot, settings, services, { claim, signal, onDone });
  return 'done';
}

async function showPlans(
  { snapshots, refused }: Selected,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExitCode> {
  const prices = await bucketPrices(services, signal);
  const absent = await withoutManifest(snapshots, settings.prefix, services.store, signal);
  for (const snapshot of snapshots) {
    const existing = absent.has(snapshot.id) ? null : await plannedFor(snapshot, settings, services, signal);
    const plan = planSnapshot(snapshot, existing, settings, services, prices);
    services.host.notify({ code: 'plan.snapshot', plan });
    warnOfTags(snapshot, settings, services);
    reportNoRoom(snapshot, settings.tagKey, services.host);
  }
  for (const { id, error } of refused) {
    services.host.notify({ code: 'snapshot.finished', snapshot: id, outcome: 'failed', seconds: 0, error });
  }
  const ids = snapshots.map(({ id }) => id);
  return verdictOf(
    ids,
    refused.map(({ error }) => error),
  );
}

/** Errors after which a run would not store the archive. */
const REFUSED_AFTER = ['MANIFEST', 'DIFFERS'];

/** Errors after which it is unknown whether a run would store the archive. */
const UNKNOWN_AFTER = ['ACCESS_DENIED', 'OBJECT_ARCHIVED', 'CLOUD_CALL'];

/** Includes archives that cannot be read, or that a run would refuse, so that the plan is complete. */
async function plannedFor(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ExistingArchive | null> {
  try {
    return await findExisting(snapshot, settings, services, signal);
  } catch (error) {
    if (!(error instanceof SnapError)) throw error;
    if (REFUSED_AFTER.includes(error.code)) return { action: 'refuse', reason: error.message };
    if (UNKNOWN_AFTER.includes(error.code)) return { action: 'unknown', reason: error.message };
    throw error;
  }
}

function warnOfTags(snapshot: Snapshot, settings: MigrateSettings, { host }: Services): void {
  const { dropped } = objectTags(snapshot.tags, settings.tagKey);
  if (dropped.length === 0) return;
  host.notify({ code: 'tags.dropped', snapshot: snapshot.id, dropped, reason: 'S3 allows 10 tags per object' });
}
