/**
 * The mark that `expire` writes to the manifest of an archive that it is going to remove. Both kinds of manifests have it.
 *
 * `expiring`: the archive is complete and is removed after a period of grace. No new point may continue it.
 * `expired`: the archive cannot be restored any more. Other points may still need the packs that it stored.
 */
export interface ExpiryMark {
  state: 'expiring' | 'expired';
  /** When the archive was marked as expiring: ISO 8601, by the clock of the store. */
  markedAt: string;
}

/** Whether a part of a manifest, which is untrusted input, is a valid mark, or absent. */
export const isExpiryOrNothing = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' &&
    value !== null &&
    ['expiring', 'expired'].includes((value as ExpiryMark).state) &&
    typeof (value as ExpiryMark).markedAt === 'string' &&
    !Number.isNaN(Date.parse((value as ExpiryMark).markedAt)));
