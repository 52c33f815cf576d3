/** A new snapshot that a run which was broken off has begun: of which archive it is, and how far it has come. */
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

/** On a snapshot from its start until it is sealed: what it is made of, by which process, up to which block. */
const BEGUN_TAG = 'snap-to-s3-restore';

/** In the place of the word, where the archive has no index by which another run could resume. */
const NOTHING = '-';

/** In the place of a process that has left its work to others. */
const NOBODY = '-';

/** Blocks between two notes: 512 MiB. */
const NOTED_EVERY = 1024;

export interface ResumableSnapshot {
  id: string;
  isEncrypted: boolean;
  /** Blocks before it are written. */
  block: number;
}

/** One word for an archive and what is to become of it. */
export const wordFor = (facts: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);

const valueFor = (word: string | null, holder: string, block: number): string =>
  `${word ?? NOTHING} ${holder} ${block}`;

/** @param word `null`: no run can resume it; it is marked all the same, so that `clean` finds it. */
export const beginningMark = (word: string | null): Record<string, string> => ({
  [BEGUN_TAG]: valueFor(word, formatIdentity(thisProcess()), 0),
});

/** The mark takes the room of one tag: that one is set once the mark is gone. */
export const tagsBesideMark = (tags: Record<string, string>): Record<'first' | 'last', Record<string, string>> => ({
  first: Object.fromEntries(Object.entries(tags).slice(0, MAX_TAGS - 1)),
  last: Object.fromEntries(Object.entries(tags).slice(MAX_TAGS - 1)),
});

/** Whoever finds it takes it over. What other machines hold is left alone: they may be at it. */
export async function takeBegun(
  word: string,
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot | null> {
  for (const { id, state, encrypted, tags } of await snapshots.withTagKey(BEGUN_TAG, { signal })) {
    if (state !== 'pending') continue;
    const [what, holder = '', block = ''] = (tags[BEGUN_TAG] ?? '').split(' ');
    const isFree = holder === NOBODY || isKnownDead(parseIdentity(holder));
    if (what !== word || !isFree || !/^\d+$/.test(block)) continue;
    const value = valueFor(word, formatIdentity(thisProcess()), Number(block));
    await snapshots.setTags(id, { [BEGUN_TAG]: value }, { signal });
    return { id, isEncrypted: encrypted, block: Number(block) };
  }
  return null;
}

/** A new snapshot that no process known here writes to any more. */
export interface AbandonedSnapshot {
  id: string;
  startTime: Date;
  /** As EC2 has it: `pending`; `error` once EBS has cancelled it; `completed` when only the mark is left to remove. */
  state: string;
  /** Blocks that are known to be written; `null` where the mark cannot be read. */
  block: number | null;
  /** Whether the same restore, run again, resumes it. */
  canResume: boolean;
  /** Whether its mark names a process of another machine, which cannot be looked for from here. */
  mayBeWritten: boolean;
  /** Whether a tag of the old snapshot may be waiting for the room of the mark. */
  mayLackTag: boolean;
}

/** Whatever state they are in. What other machines hold is among them. */
export async function abandonedSnapshots({ snapshots }: Services, signal: AbortSignal): Promise<AbandonedSnapshot[]> {
  const marked = await snapshots.withTagKey(BEGUN_TAG, { signal });
  return marked.flatMap(({ id, startTime, state, tags }) => {
    const [word = '', holder = '', block = ''] = (tags[BEGUN_TAG] ?? '').split(' ');
    const identity = parseIdentity(holder);
    if (isOnThisMachine(identity) && !isKnownDead(identity)) return [];
    return [
      {
        id,
        startTime,
        state,
        block: /^\d+$/.test(block) ? Number(block) : null,
        canResume: state === 'pending' && word !== NOTHING,
        mayBeWritten: holder !== NOBODY && !isKnownDead(identity),
        mayLackTag: isFullOfTags(tags),
      },
    ];
  });
}

/** The command that removes the mark of a snapshot. */
export const unmarkCommand = (id: string): string => `aws ec2 delete-tags --resources ${id} --tags Key=${BEGUN_TAG}`;

/** Keeps the note of one snapshot. */
export class SnapshotCheckpoint {
  readonly #id: string;
  readonly #word: string | null;
  readonly #services: Services;
  #noted: number;
  #noting: Promise<void> | null = null;

  /** @param word as of `beginningMark`. */
  constructor({ id, block }: ResumableSnapshot, word: string | null, services: Services) {
    this.#id = id;
    this.#word = word;
    this.#services = services;
    this.#noted = block;
  }

  get canResume(): boolean {
    return this.#word !== null;
  }

  /** What cannot be noted now is noted with the next. */
  written(block: number, signal: AbortSignal): void {
    if (!this.canResume || this.#noting || block < this.#noted + NOTED_EVERY) return;
    this.#noting = this.#set(formatIdentity(thisProcess()), block, signal)
      .catch(() => {})
      .finally(() => {
        this.#noting = null;
      });
  }

  /** All blocks are written. @throws SnapError `CLAIM_LOST` where another run has taken the snapshot over. */
  async confirm(signal: AbortSignal): Promise<void> {
    await this.#noting;
    if (await this.isMine(signal)) return;
    throw new SnapError('CLAIM_LOST', `another run has taken over the unfinished snapshot ${this.#id}`, {
      hint: 'wait for that run: it completes or deletes the snapshot',
    });
  }

  /**
   * The snapshot is sealed: nobody can resume it any more. Not before, or nobody would find it.
   * @param last tags that take the room of the mark.
   */
  async drop(snapshot: string, last: Record<string, string>): Promise<void> {
    const { snapshots, host } = this.#services;
    try {
      await snapshots.removeTags(this.#id, [BEGUN_TAG], { signal: cleanupSignal() });
    } catch (thrown) {
      const error = asSnapError(thrown);
      const what = `the tag ${BEGUN_TAG} of ${this.#id}`;
      host.notify({ code: 'cleanup.failed', snapshot, what, error });
      return this.#tellOfDropped(snapshot, last, `${BEGUN_TAG} takes the last of ${MAX_TAGS} tags`);
    }
    if (Object.keys(last).length === 0) return;
    try {
      await snapshots.setTags(this.#id, last, { signal: cleanupSignal() });
    } catch (thrown) {
      this.#tellOfDropped(snapshot, last, asSnapError(thrown).message);
    }
  }

  #tellOfDropped(snapshot: string, last: Record<string, string>, reason: string): void {
    const dropped = Object.keys(last);
    if (dropped.length > 0) this.#services.host.notify({ code: 'tags.dropped', snapshot, dropped, reason });
  }

  /** For a run on any machine to go on with. */
  async leave(): Promise<void> {
    await this.#noting;
    await this.#set(NOBODY, this.#noted, cleanupSignal());
  }

  /** Two runs can have found it at the same moment; one that nobody can resume stays with the run that began it. */
  async isMine(signal: AbortSignal): Promise<boolean> {
    if (!this.canResume) return true;
    const [found] = await this.#services.snapshots.byId([this.#id], { signal });
    return found?.tags[BEGUN_TAG]?.split(' ')[1] === formatIdentity(thisProcess());
  }

  async #set(holder: string, block: number, signal: AbortSignal): Promise<void> {
    const value = valueFor(this.#word, holder, block);
    await this.#services.snapshots.setTags(this.#id, { [BEGUN_TAG]: value }, { signal });
    this.#noted = block;
  }
}
