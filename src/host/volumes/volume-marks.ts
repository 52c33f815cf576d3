/** Tags of temporary volumes that tell their purpose and their process. */
import { createHash } from 'node:crypto';
import type { Instance, Volume } from '../../cloud/ports.ts';
import {
  formatIdentity,
  isKnownDead,
  isOnThisMachine,
  type ProcessIdentity,
  parseIdentity,
  thisProcess,
} from '../../lib/process-identity.ts';

/** The tag of a volume that is filled from an archive. Its value is the snapshot that the archive was made of. */
const RESTORE_OF_TAG = 'snap-to-s3-restore-of';

/** The process that fills the volume. */
const HOLDER_TAG = 'snap-to-s3-holder';

type Marked = Pick<Volume, 'id' | 'tags' | 'snapshotId'>;

export const restoreTags = (snapshotId: string): Record<string, string> => ({ [RESTORE_OF_TAG]: snapshotId });

export const holderTag = (): Record<string, string> => ({ [HOLDER_TAG]: formatIdentity(thisProcess()) });

/** Returns the snapshot that a temporary volume was created from or is to hold. */
export const subjectOf = ({ tags, snapshotId }: Marked): string => tags[RESTORE_OF_TAG] ?? snapshotId;

/** Returns the name of its mount points. A volume without a snapshot is named by its own id. */
export const mountNameOfVolume = ({ id, tags, snapshotId }: Marked): string =>
  tags[RESTORE_OF_TAG] === undefined ? mountNameFor(snapshotId, tags[ARCHIVES_TAG] ?? '') : restoreMountName(id);

/**
 * Returns a mount name. It depends on bucket and prefix, because runs for two of them may work on one snapshot at the
 * same time, each with its own volume.
 * @param archives the `bucket/prefix` that the volume is used for.
 */
export const mountNameFor = (snapshotId: string, archives: string): string =>
  `${snapshotId}-${createHash('sha256').update(archives).digest('hex').slice(0, 8)}`;

/** The tag of temporary volumes. Its value is the `bucket/prefix` of the archives that they are used for. */
export const ARCHIVES_TAG = 'snap-to-s3-archives';

export const restoreMountName = (volumeId: string): string => `restore-${volumeId}`;

const holderOf = ({ tags }: Pick<Volume, 'tags'>): ProcessIdentity => parseIdentity(tags[HOLDER_TAG] ?? '');

/** Whether a process of this machine may be filling the volume at the moment. */
export function isBeingFilled(volume: Pick<Volume, 'tags'>): boolean {
  const holder = holderOf(volume);
  return isOnThisMachine(holder) && !isKnownDead(holder);
}

/** Whether the process that filled the volume has certainly ended. This is not known of processes on other machines. */
export function isAbandoned(volume: Pick<Volume, 'tags' | 'attachments'>, { id }: Pick<Instance, 'id'>): boolean {
  const holder = holderOf(volume);
  if (isOnThisMachine(holder)) return isKnownDead(holder);
  // It was attached to this instance before the last restart.
  return volume.attachments.some(({ instanceId, state }) => instanceId === id && state !== 'detached');
}
