/** Marks and removes archives of one volume, under its claim. */
import { changeMark } from './change-mark.ts';
import { underExpiryClaim } from './claim-for-expiry.ts';
import { dueAfter, type ExpiryContext } from './expiry-context.ts';
import { readLineage } from './lineage.ts';
import { isIntact, type LineagePlan, type PlannedArchive, planForNow, planLineage } from './plan-lineage.ts';
import { removeExpired } from './remove-expired.ts';
import { retireArchive, takeBackIfPinned } from './retire-archive.ts';

/**
 * Only archives that were marked long enough ago, by the clock of the store, are removed. What they stored is removed only
 * if none of the manifests that are listed after that needs it.
 * @throws SnapError `CLAIMED` if another run expires archives of the volume; the errors of the store.
 */
export async function expireLineage(volumeId: string, context: ExpiryContext): Promise<void> {
  await underExpiryClaim({ id: volumeId, volumeId }, context, async (claim, work) => {
    const { settings, services, signal } = work;
    const confirm = () => claim.confirm();
    const plan = planLineage(await readLineage(volumeId, settings, services, signal), settings.keep);
    if (plan.obstacle !== null) return;
    for (const planned of plan.archives) {
      confirm();
      await (planned.decision === 'expired' ? protect(planned, plan, work) : advance(planned, work));
    }
    confirm();
    const now = planForNow(await readLineage(volumeId, settings, services, signal), settings.keep);
    await removeExpired(now, confirm, work);
  });
}

/** A run that was killed may have declared an archive expired without having read the pins. */
async function protect({ archive }: PlannedArchive, plan: LineagePlan, context: ExpiryContext): Promise<void> {
  const archives = plan.archives.map((planned) => planned.archive);
  if (!isIntact(archive, archives)) return;
  const reason = await takeBackIfPinned(archive, context);
  if (reason !== null) context.services.host.notify({ code: 'expiry.deferred', snapshot: archive.id, reason });
}

/** Takes an archive one step further: it is marked, its mark is removed, or it expires. */
async function advance(planned: PlannedArchive, context: ExpiryContext): Promise<void> {
  const { archive, decision } = planned;
  const { settings, services, clock } = context;
  const { id: snapshot, mark } = archive;
  if (decision === 'keep' && mark !== null) {
    if (await changeMark(archive, null, mark, context)) services.host.notify({ code: 'expiry.unmarked', snapshot });
  }
  if (decision !== 'expire') return;
  if (mark === null) {
    const markedAt = clock().toISOString();
    const isMarked = await changeMark(archive, { state: 'expiring', markedAt }, null, context);
    const dueAt = dueAfter(markedAt, settings).toISOString();
    if (isMarked) services.host.notify({ code: 'expiry.marked', snapshot, dueAt });
    return;
  }
  if (dueAfter(mark.markedAt, settings) > clock()) return;
  const reason = await retireArchive(planned, context);
  if (reason !== null) services.host.notify({ code: 'expiry.deferred', snapshot, reason });
}
