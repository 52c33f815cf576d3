/** Removes the objects of expired archives that no other archive needs. */
import { claimKey } from '../../archive/claim.ts';
import { attemptStem, manifestKey } from '../../archive/key.ts';
import type { ListedObject } from '../../cloud/ports.ts';
import { inParallel } from '../../lib/parallel.ts';
import { ageIn } from '../shared/store-clock.ts';
import { findClaim } from '../sharing/claims.ts';
import { underExpiryClaim } from './claim-for-expiry.ts';
import type { ExpiryContext } from './expiry-context.ts';
import { costsOf } from './expiry-costs.ts';
import type { LineageArchive } from './lineage.ts';
import { lockedUntil } from './locked-objects.ts';
import type { LineagePlan, PlannedArchive } from './plan-lineage.ts';

/** Maximum number of objects that are removed at the same time. */
const CONCURRENCY = 16;

/**
 * @param plan of the volume, from a listing that is newer than all marks. The caller holds the claim of the volume.
 */
export async function removeExpired(plan: LineagePlan, confirm: () => void, context: ExpiryContext): Promise<void> {
  if (plan.obstacle !== null) return;
  for (const planned of plan.archives) {
    if (planned.decision === 'expired') await removeArchive(planned, confirm, context);
  }
  const archives = plan.archives.map(({ archive }) => archive);
  const used = new Set(archives.flatMap(({ generation, uses }) => [...uses, ...(generation ? [generation] : [])]));
  const stems = new Set([...used].map(attemptStem));
  for (const archive of archives) await removeStrays(archive, stems, context);
}

/** The manifest goes last, because it shows the next run what to remove. */
async function removeArchive(
  { archive, frees, neededBy }: PlannedArchive,
  confirm: () => void,
  context: ExpiryContext,
): Promise<void> {
  const { services, clock, prices } = context;
  const isLast = neededBy.length === 0;
  if (frees.length === 0 && !isLast) return;
  const until = await lockedUntil(archive.lockedUntil, frees, context);
  if (until !== null) {
    const reason = `Object Lock protects what remains of it until ${until.toISOString()}`;
    services.host.notify({ code: 'expiry.deferred', snapshot: archive.id, reason });
    return;
  }
  await removeObjects(frees, confirm, context);
  if (isLast && archive.manifest) {
    confirm();
    await services.store.removeIf(archive.manifest.key, archive.manifest.etag, { signal: context.signal });
  }
  const costs = costsOf(frees, clock(), prices);
  services.host.notify({ code: 'expiry.removed', snapshot: archive.id, ...costs, neededBy: [...neededBy] });
}

async function removeObjects(
  objects: readonly ListedObject[],
  confirm: () => void,
  { services, signal }: ExpiryContext,
): Promise<void> {
  await inParallel(objects, CONCURRENCY, signal, async ({ key, etag }, working) => {
    confirm();
    await services.store.removeIf(key, etag, { signal: working });
  });
}

/**
 * Removes what interrupted attempts have stored, unless a claim shows that a run may still need it: `clean` and the next
 * migration remove that.
 */
async function removeStrays(archive: LineageArchive, used: ReadonlySet<string>, context: ExpiryContext): Promise<void> {
  const { id, startTime, volumeId, manifest, strays } = archive;
  const { settings, services, signal, clock } = context;
  const { prefix, grace } = settings;
  const old = strays.filter(({ key, modifiedAt }) => !used.has(attemptStem(key)) && ageIn(clock, modifiedAt) > grace);
  if (old.length === 0 || (await findClaim(claimKey(prefix, id), services.store, signal)) !== null) return;
  await underExpiryClaim(archive, context, async (claim, work) => {
    const key = manifestKey({ prefix, volumeId, startTime, snapshotId: id });
    const head = await services.store.head(key, { signal: work.signal });
    if ((head?.etag ?? null) !== (manifest?.etag ?? null)) return;
    if ((await lockedUntil(null, old, work)) !== null) return;
    await removeObjects(old, () => claim.confirm(), work);
  });
}
