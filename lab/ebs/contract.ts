/** The snapshots of EC2 that the EBS direct APIs read and write, and the errors of these APIs. */
import { type LabContext, ServiceError } from '../core/contract.ts';
import { snapshotState } from '../ec2/snapshots.ts';
import type { StoredSnapshot } from '../ec2/state.ts';

export const BLOCK = 512 * 1024;

/** The volume id that EC2 shows for snapshots that were not created from a volume. */
export const WITHOUT_VOLUME = 'vol-ffffffff';

/** The key of the account for encrypted snapshots that name none. */
export const DEFAULT_KEY = 'arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000000';

export interface SnapshotShelf {
  snapshot(id: string): StoredSnapshot | undefined;
  image(id: string): string;
  /** Adds a snapshot, or saves its changes. */
  keep(snapshot: StoredSnapshot): void;
}

export const failure = (code: string, status: number, reason: string, message: string): ServiceError =>
  new ServiceError(code, message, status, { Reason: reason });

export const invalid = (reason: string, message: string): ServiceError =>
  failure('ValidationException', 400, reason, message);

/** @throws ServiceError `ResourceNotFoundException` */
export function findSnapshot(shelf: SnapshotShelf, id: string): StoredSnapshot {
  const snapshot = shelf.snapshot(id);
  if (snapshot) return snapshot;
  throw failure('ResourceNotFoundException', 404, 'SNAPSHOT_NOT_FOUND', `${id} does not exist`);
}

/** @throws ServiceError for a snapshot that cannot be read yet, or at all. */
export function readable(shelf: SnapshotShelf, id: string, context: LabContext): StoredSnapshot {
  const snapshot = findSnapshot(shelf, id);
  const isComplete = snapshotState(snapshot, context) === 'completed';
  if (isComplete && snapshot.storageTier === 'standard') return snapshot;
  throw invalid('INVALID_SNAPSHOT_ID', `${id} cannot be read`);
}
