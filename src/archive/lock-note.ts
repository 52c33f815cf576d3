/** The lock of the objects of an archive, as manifests and claims record it. */
import type { LockMode, ObjectLock } from '../cloud/object-lock.ts';

export interface LockNote {
  mode: LockMode;
  /** ISO 8601 in UTC. */
  until: string;
}

export const noteOfLock = (lock: ObjectLock): LockNote => ({ mode: lock.mode, until: lock.until.toISOString() });

/** @returns `null` for `null`, and if there is no note, as in documents of earlier versions. */
export const lockInNote = (note: LockNote | null | undefined): ObjectLock | null =>
  note ? { mode: note.mode, until: new Date(note.until) } : null;

export const describeLock = ({ mode, until }: ObjectLock): string => `${mode} until ${until.toISOString()}`;

export const isLockMode = (value: unknown): value is LockMode => value === 'GOVERNANCE' || value === 'COMPLIANCE';

export const isLockDate = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value));

/** Whether untrusted input is a note, or says that there is no lock. */
export const isLockNoteOrNothing = (value: unknown): boolean => {
  if (value === null || value === undefined) return true;
  const { mode, until } = value as Partial<LockNote>;
  return isLockMode(mode) && isLockDate(until);
};
