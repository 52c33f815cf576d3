/** The claims under which archives expire: of a volume, and of single snapshots. */
import { holdingClaim } from '../sharing/claimed-work.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import type { ExpiryContext } from './expiry-context.ts';

/** What is claimed. For a volume, `id` is the id of the volume, too. */
export interface ClaimSubject {
  readonly id: string;
  readonly volumeId: string;
}

/**
 * Does the work under a claim.
 * @param work receives the context with a signal that is also aborted when the claim is lost.
 * @throws SnapError `CLAIMED`, `CLAIM_LOST`, and the errors of the work.
 */
export const underExpiryClaim = <T>(
  { id, volumeId }: ClaimSubject,
  context: ExpiryContext,
  work: (claim: HeldClaim, context: ExpiryContext) => Promise<T>,
): Promise<T> => {
  const { settings, services, signal } = context;
  const { prefix, tagKey, claimLife: lifeSeconds } = settings;
  const order = { snapshot: { id, volumeId, tags: {} }, prefix, command: 'expire', tagKey, lifeSeconds };
  return holdingClaim(order, services, signal, (claim, running) => work(claim, { ...context, signal: running }));
};
