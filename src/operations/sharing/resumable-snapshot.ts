/** A new snapshot that a run which was broken off has begun: of which archive it is, and how far it has come. */
import { createHash } from 'node:crypto';
import { asSnapError, SnapError } from '../../errors.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { identityOf, identityWord, isKnownDead, isOfThisMachine, thisProcess } from '../../lib/process-identity.ts';
import type { Services } from '../shared/services.ts';

/** On a snapshot that is being written, and only then: what of, by which process, up to which block. */
const BEGUN_TAG = 'snap-to-s3-restore';

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

const valueFor = (word: string, holder: string, block: number): string => `${word} ${holder} ${block}`;

export const beginningMark = (word: string): Record<string, string> => ({
  [BEGUN_TAG]: valueFor(word, identityWord(thisProcess()), 0),
});

/** Whoever finds it takes it over. What other machines hold is left alone: they may be at it. */
export async function takeBegun(
  word: string,
  { snapshots }: Services,
  signal: AbortSignal,
): Promise<ResumableSnapshot | null> {
  for (const { id, encrypted, tags } of await snapshots.pending(BEGUN_TAG, { signal })) {
    const [what, holder = '', block = ''] = (tags[BEGUN_TAG] ?? '').split(' ');
    const isFree = holder === NOBODY || isKnownDead(identityOf(holder));
    if (what !== word || !isFree || !/^\d+$/.test(block)) continue;
    const value = valueFor(word, identityWord(thisProcess()), Number(block));
    await snapshots.setTags(id, { [BEGUN_TAG]: value }, { signal });
    return { id, isEncrypted: encrypted, block: Number(block) };
  }
  return null;
}

/** A new snapshot that no process known here writes to any more. */
export interface AbandonedSnapshot {
  id: string;
  startTime: Date;
  /** Blocks that are known to be written; `null` where the mark cannot be read. */
  block: number | null;
  /** Whether its mark names a process of another machine, which cannot be looked for from here. */
  mayBeWritten: boolean;
}

/** What other machines hold is among them. */
export async function abandonedSnapshots({ snapshots }: Services, signal: AbortSignal): Promise<AbandonedSnapshot[]> {
  const pending = await snapshots.pending(BEGUN_TAG, { signal });
  return pending.flatMap(({ id, startTime, tags }) => {
    const [, holder = '', block = ''] = (tags[BEGUN_TAG] ?? '').split(' ');
    const identity = identityOf(holder);
    if (isOfThisMachine(identity) && !isKnownDead(identity)) return [];
    const mayBeWritten = holder !== NOBODY && !isKnownDead(identity);
    return [{ id, startTime, mayBeWritten, block: /^\d+$/.test(block) ? Number(block) : null }];
  });
}

/** Keeps the note of one snapshot. */
export class SnapshotCheckpoint {
  readonly #id: string;
  readonly #word: string;
  readonly #services: Services;
  #noted: number;
  #noting: Promise<void> | null = null;

  constructor({ id, block }: ResumableSnapshot, word: string, services: Services) {
    this.#id = id;
    this.#word = word;
    this.#services = services;
    this.#noted = block;
  }

  /** What cannot be noted now is noted with the next. */
  written(block: number, signal: AbortSignal): void {
    if (this.#noting || block < this.#noted + NOTED_EVERY) return;
    this.#noting = this.#set(identityWord(thisProcess()), block, signal)
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

  /** The snapshot is sealed: nobody can go on with it any more. Not before, or nobody would find it. */
  async drop(snapshot: string): Promise<void> {
    try {
      await this.#services.snapshots.dropTags(this.#id, [BEGUN_TAG], { signal: cleanupSignal() });
    } catch (thrown) {
      const error = asSnapError(thrown);
      const what = `the tag ${BEGUN_TAG} of ${this.#id}`;
      this.#services.host.notify({ code: 'cleanup.failed', snapshot, what, error });
    }
  }

  /** For a run on any machine to go on with. */
  async leave(): Promise<void> {
    await this.#noting;
    await this.#set(NOBODY, this.#noted, cleanupSignal());
  }

  /** Two runs can have found it at the same moment. */
  async isMine(signal: AbortSignal): Promise<boolean> {
    const [found] = await this.#services.snapshots.byId([this.#id], { signal });
    return found?.tags[BEGUN_TAG]?.split(' ')[1] === identityWord(thisProcess());
  }

  async #set(holder: string, block: number, signal: AbortSignal): Promise<void> {
    const value = valueFor(this.#word, holder, block);
    await this.#services.snapshots.setTags(this.#id, { [BEGUN_TAG]: value }, { signal });
    this.#noted = block;
  }
}
