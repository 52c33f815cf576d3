/**
 * New snapshots that an interrupted restore has not completed. A tag on such a snapshot records which restore it belongs
 * to, which process writes it, and how far it has come.
 */
import { createHash } from 'node:crypto';
import { asSnapError, SnapError } from '../../errors.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import {
  formatIdentity,
  isKnownDead,
  isOnThisMachine,
  parseIdentity,
  thisProcess,
} from '../../lib/process-identity.ts';
import type { Services } from '../shared/services.ts';
import { isFullOfTags, MAX_TAGS } from './tag-room.ts';

/** The tag of an unfinished snapshot. Its value is the digest of the restore, the process, and the next block. */
const CHECKPOINT_TAG = 'snap-to-s3-restore';

/** Replaces the digest if the archive has no index, so that no other run can resume the restore. */
const NO_DIGEST = '-';

/** Replaces the process once a run has released the snapshot. */
const NO_HOLDER = '-';

/** Blocks between two updates of the tag: 512 MiB. */
const CHECKPOINT_BLOCKS = 1024;

export interface ResumableSnapshot {
  id: string;
  isEncrypted: boolean;
  /** Index of the next block; all blocks before it are written. */
  block: number;
}

/** A digest that identifies a restore: the archive and the requested properties of the new snapshot. */
export const restoreDigest = (facts: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);

const valueFor = (digest: string | null, holder: string, block: number): string =>
  `${digest ?? NO_DIGEST} ${holder} ${block}`;

/** @param digest `null` if no run can resume the restore; the snapshot is tagged anyway, so that `clean` finds it. */
export const initialCheckpointTag = (digest: string | null): Record<string, string> => ({
  [CHECKPOINT_TAG]: valueFor(digest, formatIdentity(thisProcess()), 0),
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

/**
 * Finds the unfinished snapshot of an interrupted restore and takes it over. Snapshots of other machines are not taken
 * over unless they were released, because those machines may still write them.
 * @returns `null` if there is none.
 */
export async function takeOverSnapshot(
  digest: string,
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot | null> {
  for (const { id, state, encrypted, tags } of await snapshots.withTagKey(CHECKPOINT_TAG, { signal })) {
    if (state !== 'pending') continue;
    const [found, holder = '', block = ''] = (tags[CHECKPOINT_TAG] ?? '').split(' ');
    const isFree = holder === NO_HOLDER || isKnownDead(parseIdentity(holder));
    if (found !== digest || !isFree || !/^\d+$/.test(block)) continue;
    const value = valueFor(digest, formatIdentity(thisProcess()), Number(block));
    await snapshots.setTags(id, { [CHECKPOINT_TAG]: value }, { signal });
    return { id, isEncrypted: encrypted, block: Number(block) };
  }
  return null;
}

/** An unfinished new snapshot that no live process on this machine writes. */
export interface AbandonedSnapshot {
  id: string;
  startTime: Date;
  /** The state in EC2: `pending`; `error` if EBS cancelled it; `completed` if only the checkpoint tag is left to remove. */
  state: string;
  /** Number of blocks that are certainly written; `null` if the tag cannot be parsed. */
  block: number | null;
  /** Whether the same restore, run again, resumes it. */
  canResume: boolean;
  /** Whether the tag names a process on another machine, which may still be running. */
  mayBeWritten: boolean;
  /** Whether a tag of the original snapshot may be missing, because the checkpoint tag occupies its place. */
  mayLackTag: boolean;
}

/** @returns snapshots in any state, including those of processes on other machines. */
export async function abandonedSnapshots({ snapshots }: Services, signal: AbortSignal): Promise<AbandonedSnapshot[]> {
  const tagged = await snapshots.withTagKey(CHECKPOINT_TAG, { signal });
  return tagged.flatMap(({ id, startTime, state, tags }) => {
    const [digest = '', holder = '', block = ''] = (tags[CHECKPOINT_TAG] ?? '').split(' ');
    const identity = parseIdentity(holder);
    if (isOnThisMachine(identity) && !isKnownDead(identity)) return [];
    return [
      {
        id,
        startTime,
        state,
        block: /^\d+$/.test(block) ? Number(block) : null,
        canResume: state === 'pending' && digest !== NO_DIGEST,
        mayBeWritten: holder !== NO_HOLDER && !isKnownDead(identity),
        mayLackTag: isFullOfTags(tags),
      },
    ];
  });
}

/** The command that removes the checkpoint tag of a snapshot. */
export const untagCommand = (id: string): string =>
  `aws ec2 delete-tags --resources ${id} --tags Key=${CHECKPOINT_TAG}`;

/** Maintains the checkpoint tag of one snapshot. */
export class SnapshotCheckpoint {
  readonly #id: string;
  readonly #digest: string | null;
  readonly #services: Services;
  #savedBlock: number;
  #saving: Promise<void> | null = null;

  /** @param digest of `restoreDigest`; `null` if no run can resume the restore. */
  constructor({ id, block }: ResumableSnapshot, digest: string | null, services: Services) {
    this.#id = id;
    this.#digest = digest;
    this.#services = services;
    this.#savedBlock = block;
  }

  get canResume(): boolean {
    return this.#digest !== null;
  }

  /** Updates the tag in the background. A failed update is ignored, because the next one replaces it. */
  written(block: number, signal: AbortSignal): void {
    if (!this.canResume || this.#saving || block < this.#savedBlock + CHECKPOINT_BLOCKS) return;
    this.#saving = this.#set(formatIdentity(thisProcess()), block, signal)
      .catch(() => {})
      .finally(() => {
        this.#saving = null;
      });
  }

  /** Call it when all blocks are written. @throws SnapError `CLAIM_LOST` if another run took over the snapshot. */
  async confirm(signal: AbortSignal): Promise<void> {
    await this.#saving;
    if (await this.isMine(signal)) return;
    throw new SnapError('CLAIM_LOST', `another run took over the unfinished snapshot ${this.#id}`, {
      hint: 'wait for that run: it completes or deletes the snapshot',
    });
  }

  /**
   * Removes the tag, and sets the tags that it displaced. Call it only after the snapshot is completed: until then, the
   * tag is needed to find and to resume it.
   * @param last the tags that `tagsBesideCheckpoint` deferred.
   */
  async drop(snapshot: string, last: Record<string, string>): Promise<void> {
    const { snapshots, host } = this.#services;
    try {
      await snapshots.removeTags(this.#id, [CHECKPOINT_TAG], { signal: cleanupSignal() });
    } catch (thrown) {
      const error = asSnapError(thrown);
      const what = `the tag ${CHECKPOINT_TAG} of ${this.#id}`;
      host.notify({ code: 'cleanup.failed', snapshot, what, error });
      return this.#reportDropped(snapshot, last, `the tag ${CHECKPOINT_TAG} could not be removed and uses its place`);
    }
    if (Object.keys(last).length === 0) return;
    try {
      await snapshots.setTags(this.#id, last, { signal: cleanupSignal() });
    } catch (thrown) {
      this.#reportDropped(snapshot, last, asSnapError(thrown).message);
    }
  }

  #reportDropped(snapshot: string, last: Record<string, string>, reason: string): void {
    const dropped = Object.keys(last);
    if (dropped.length > 0) this.#services.host.notify({ code: 'tags.dropped', snapshot, dropped, reason });
  }

  /** Releases the snapshot, so that a run on any machine can resume it. */
  async release(): Promise<void> {
    await this.#saving;
    await this.#set(NO_HOLDER, this.#savedBlock, cleanupSignal());
  }

  /** Whether this process holds the snapshot: two runs may have taken it over at the same moment. */
  async isMine(signal: AbortSignal): Promise<boolean> {
    if (!this.canResume) return true;
    const [found] = await this.#services.snapshots.byId([this.#id], { signal });
    return found?.tags[CHECKPOINT_TAG]?.split(' ')[1] === formatIdentity(thisProcess());
  }

  async #set(holder: string, block: number, signal: AbortSignal): Promise<void> {
    const value = valueFor(this.#digest, holder, block);
    await this.#services.snapshots.setTags(this.#id, { [CHECKPOINT_TAG]: value }, { signal });
    this.#savedBlock = block;
  }
}
