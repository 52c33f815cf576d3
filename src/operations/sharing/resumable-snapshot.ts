/**
 * New snapshots that an interrupted restore has not completed. A tag on such a snapshot records which restore it belongs
 * to, which process writes it, and how far it has come.
 */
import { createHash } from 'node:crypto';
import {
  formatIdentity,
  isKnownDead,
  isOnThisMachine,
  parseIdentity,
  thisProcess,
} from '../../lib/process-identity.ts';
import type { Services } from '../shared/services.ts';
import { MAX_TAGS } from './tag-room.ts';

/**
 * The tag of an unfinished snapshot. Its value is the digest of the restore, the process, and the next block; once all
 * blocks are written, also the seal.
 */
export const CHECKPOINT_TAG = 'snap-to-s3-restore';

/** Replaces the digest if the archive has no index, so that no other run can resume the restore. */
export const NO_DIGEST = '-';

/** Replaces the process once a run has released the snapshot. */
export const NO_HOLDER = '-';

/** The parameters of CompleteSnapshot. With them, any run can complete a snapshot whose blocks are all written. */
export interface Seal {
  blocks: number;
  /** The digest in Base64. */
  sha256: string;
}

/** The value of the tag. */
export interface CheckpointNote {
  digest: string;
  holder: string;
  /** Index of the next block; `null` if it cannot be parsed. */
  block: number | null;
  /** `null` if blocks may be missing. */
  seal: Seal | null;
}

export function formatCheckpoint({ digest, holder, block, seal }: CheckpointNote): string {
  return [digest, holder, block, ...(seal ? [seal.blocks, seal.sha256] : [])].join(' ');
}

export function parseCheckpoint(tags: Readonly<Record<string, string>>): CheckpointNote {
  const [digest = '', holder = '', block = '', blocks = '', sha256] = (tags[CHECKPOINT_TAG] ?? '').split(' ');
  const seal = /^\d+$/.test(blocks) && sha256 !== undefined ? { blocks: Number(blocks), sha256 } : null;
  return { digest, holder, block: /^\d+$/.test(block) ? Number(block) : null, seal };
}

/** The holder that stands for this process. */
export const thisHolder = (): string => formatIdentity(thisProcess());

/** Whether no process can be writing the snapshot. Processes on other machines may still be running. */
export const isFree = ({ holder }: CheckpointNote): boolean =>
  holder === NO_HOLDER || isKnownDead(parseIdentity(holder));

/** Whether a live process on this machine writes the snapshot. */
export function isHeldHere({ holder }: CheckpointNote): boolean {
  const identity = parseIdentity(holder);
  return isOnThisMachine(identity) && !isKnownDead(identity);
}

/** A digest that identifies a restore: the archive and the requested properties of the new snapshot. */
export const restoreDigest = (facts: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);

/** @param canResume if no run can resume the restore, the snapshot is tagged anyway, so that `clean` finds it. */
export const initialCheckpointTag = (digest: string, canResume: boolean): Record<string, string> => ({
  [CHECKPOINT_TAG]: formatCheckpoint({
    digest: canResume ? digest : NO_DIGEST,
    holder: thisHolder(),
    block: 0,
    seal: null,
  }),
});

/**
 * Splits the tags of the new snapshot: the checkpoint tag occupies one of the available tags, so the tags in `last` are
 * set after it was removed.
 */
export const tagsBesideCheckpoint = (
  tags: Record<string, string>,
): Record<'first' | 'last', Record<string, string>> => ({
  first: Object.fromEntries(Object.entries(tags).slice(0, MAX_TAGS - 1)),
  last: Object.fromEntries(Object.entries(tags).slice(MAX_TAGS - 1)),
});

export interface ResumableSnapshot {
  id: string;
  isEncrypted: boolean;
  /** Index of the next block; all blocks before it are written. */
  block: number;
}

/**
 * Finds the unfinished snapshot of an interrupted restore, of which blocks may be missing, and takes it over. Snapshots of
 * other machines are not taken over unless they were released, because those machines may still write them.
 * @returns `null` if there is none.
 */
export async function takeOverSnapshot(
  digest: string,
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot | null> {
  for (const { id, state, encrypted, tags } of await snapshots.withTagKey(CHECKPOINT_TAG, { signal })) {
    const found = parseCheckpoint(tags);
    const { block } = found;
    if (state !== 'pending' || found.digest !== digest || found.seal || block === null || !isFree(found)) continue;
    const value = formatCheckpoint({ ...found, holder: thisHolder() });
    await snapshots.setTags(id, { [CHECKPOINT_TAG]: value }, { signal });
    return { id, isEncrypted: encrypted, block };
  }
  return null;
}

/** A new snapshot whose blocks are all written, and which still has its checkpoint tag. */
export interface WrittenSnapshot {
  id: string;
  /** `null` if EBS has completed the snapshot. */
  seal: Seal | null;
}

/**
 * Finds a snapshot that an interrupted restore has written to the end. A completed snapshot was verified before, whatever
 * process wrote it; only its tag is left to remove. Any other snapshot is taken over like one that is not written.
 * @returns `null` if there is none.
 */
export async function takeOverWritten(
  digest: string,
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<WrittenSnapshot | null> {
  for (const { id, state, tags } of await snapshots.withTagKey(CHECKPOINT_TAG, { signal })) {
    const found = parseCheckpoint(tags);
    if (found.digest !== digest || isHeldHere(found)) continue;
    if (state === 'completed') return { id, seal: null };
    if (state !== 'pending' || !found.seal || !isFree(found)) continue;
    const value = formatCheckpoint({ ...found, holder: thisHolder() });
    await snapshots.setTags(id, { [CHECKPOINT_TAG]: value }, { signal });
    return { id, seal: found.seal };
  }
  return null;
}
