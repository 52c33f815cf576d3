/** What the manifest of a point records about the last validation that found no difference. */

export interface PointValidation {
  /** When every block of the snapshot was compared with the map and the block lists. */
  at: string;
  /**
   * `read`: every pack that the point needs was read, and each block compared with its hash, by this validation or by that of
   * the point that stored the pack. `not-read`: the presence of all packs was checked, but not all of them were read.
   */
  packs: 'read' | 'not-read';
}

/** Earlier manifests have only a time, and their packs were not read. @returns `null` if the point was never validated. */
export function validationOf(manifest: {
  validatedAt: string | null;
  validation?: PointValidation;
}): PointValidation | null {
  const { validatedAt, validation } = manifest;
  if (validation) return { at: validation.at, packs: validation.packs === 'read' ? 'read' : 'not-read' };
  return typeof validatedAt === 'string' ? { at: validatedAt, packs: 'not-read' } : null;
}

/** For untrusted input. */
export const isValidationOrNothing = (value: PointValidation | null | undefined): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && typeof value.at === 'string');
