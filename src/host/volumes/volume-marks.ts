/** Whose a temporary volume is. */
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

/** On a volume that is being filled from an archive, and is made of no snapshot: of which one the archive is. */
const RESTORE_OF_TAG = 'snap-to-s3-restore-of';

/** The process that fills it. */
const HOLDER_TAG = 'snap-to-s3-holder';

type Marked = Pick<Volume, 'id' | 'tags' | 'snapshotId'>;

export const fillingMarks = (snapshotId: string): Record<string, string> => ({ [RESTORE_OF_TAG]: snapshotId });

export const holderMark = (): Record<string, string> => ({ [HOLDER_TAG]: formatIdentity(thisProcess()) });

/** The snapshot that a temporary volume is made of, or is to hold again. */
export const subjectOf = ({ tags, snapshotId }: Marked): string => tags[RESTORE_OF_TAG] ?? snapshotId;

/** What its mount points are called: without a snapshot of its own, nobody else can mean those of the volume. */
export const mountNameOf = ({ id, tags, snapshotId }: Marked): string =>
  tags[RESTORE_OF_TAG] === undefined ? mountNameFor(snapshotId, tags[ARCHIVES_TAG] ?? '') : fillingMount(id);

/**
 * Runs for two buckets, or two prefixes, may work on one snapshot at the same time, each with a volume of its own.
 * @param archives the mark of bucket and prefix.
 */
export const mountNameFor = (snapshotId: string, archives: string): string =>
  `${snapshotId}-${createHash('sha256').update(archives).digest('hex').slice(0, 8)}`;

/** On temporary volumes: the bucket and prefix of the archives that they are for. */
export const ARCHIVES_TAG = 'snap-to-s3-archives';

export const fillingMount = (volumeId: string): string => `restore-${volumeId}`;

const holderOf = ({ tags }: Pick<Volume, 'tags'>): ProcessIdentity => parseIdentity(tags[HOLDER_TAG] ?? '');

/** Whether a process of this machine may be filling it at this moment. */
export function isBeingFilled(volume: Pick<Volume, 'tags'>): boolean {
  const holder = holderOf(volume);
  return isOnThisMachine(holder) && !isKnownDead(holder);
}

/** Whether who was filling it is gone for sure. Of other machines, nothing is known. */
export function isAbandoned(volume: Pick<Volume, 'tags' | 'attachments'>, { id }: Pick<Instance, 'id'>): boolean {
  const holder = holderOf(volume);
  if (isOnThisMachine(holder)) return isKnownDead(holder);
  // It was attached here before this machine was started again.
  return volume.attachments.some(({ instanceId, state }) => instanceId === id && state !== 'detached');
}
