/** Completes the work for a snapshot whose archive exists already. */
import type { Snapshot } from '../../cloud/ports.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { surveyForRemoval } from '../clean/clean.ts';
import { removeUnderClaim } from '../clean/remove-leftovers.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import { beginState, DONE, VALIDATED } from '../sharing/state-tag.ts';

/**
 * Sets the state tag, and removes the leftovers of a run that was killed after it had completed the archive.
 */
export async function keepArchive(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  claim: HeldClaim,
  signal: AbortSignal,
): Promise<void> {
  const { tagKey, validate } = settings;
  const value = validate ? VALIDATED : 'migrated';
  const tag = snapshot.tags[tagKey] ?? '';
  const isSaid = validate ? tag === VALIDATED : DONE.includes(tag);
  if (!isSaid) {
    using state = await beginState(
      snapshot,
      { key: tagKey, value: 'migrating', tagBefore: claim.tagBefore },
      services,
      signal,
    );
    await state.settle(value, cleanupSignal());
  }
  if (!claim.isTakenOver || settings.keepVolumes) return;
  const survey = await surveyForRemoval(settings, services, signal);
  await removeUnderClaim(claim, snapshot.id, survey);
}
