/** The checkpoint tag of a new snapshot, maintained by the run that writes the snapshot. */
import { asSnapError, SnapError } from '../../../errors.ts';
import { cleanupSignal } from '../../../lib/disposal.ts';
import type { Services } from '../../shared/services.ts';
import {
  CHECKPOINT_TAG,
  formatCheckpoint,
  NO_DIGEST,
  NO_HOLDER,
  parseCheckpoint,
  type Seal,
  thisHolder,
} from '../../sharing/resumable-snapshot.ts';

/** Blocks between two updates of the tag: 512 MiB. */
const CHECKPOINT_BLOCKS = 1024;

export interface CheckpointSubject {
  id: string;
  /** The digest that `restoreDigest` returns. */
  digest: string;
  /** Whether another run can resume the restore while blocks are missing. */
  canResume: boolean;
  /** Index of the next block. */
  block: number;
  /** `null` if blocks may be missing. */
  seal: Seal | null;
}

/** Maintains the checkpoint tag of one snapshot. */
export class SnapshotCheckpoint {
  readonly #subject: CheckpointSubject;
  readonly #services: Services;
  #savedBlock: number;
  #seal: Seal | null;
  #saving: Promise<void> | null = null;

  constructor(subject: CheckpointSubject, services: Services) {
    this.#subject = subject;
    this.#services = services;
    this.#savedBlock = subject.block;
    this.#seal = subject.seal;
  }

  /** Whether another run can do the rest. */
  get canBeReleased(): boolean {
    return this.#subject.canResume || this.#seal !== null;
  }

  /** Updates the tag in the background. A failed update is ignored, because the next one replaces it. */
  written(block: number, signal: AbortSignal): void {
    if (!this.#subject.canResume || this.#saving || block < this.#savedBlock + CHECKPOINT_BLOCKS) return;
    this.#saving = this.#set(thisHolder(), block, signal)
      .catch(() => {})
      .finally(() => {
        this.#saving = null;
      });
  }

  /**
   * Call it when all blocks are written and verified. From then on, any run can complete the snapshot, even if it could not
   * have resumed it. A failed update is ignored: this run completes the snapshot without it.
   * @throws SnapError `CLAIM_LOST` if another run took over the snapshot.
   */
  async seal(seal: Seal, signal: AbortSignal): Promise<void> {
    await this.#saving;
    if (!(await this.isMine(signal))) {
      throw new SnapError('CLAIM_LOST', `another run took over the unfinished snapshot ${this.#subject.id}`, {
        hint: 'wait for that run: it completes or deletes the snapshot',
      });
    }
    this.#seal = seal;
    await this.#set(thisHolder(), this.#savedBlock, signal).catch(() => signal.throwIfAborted());
  }

  /**
   * Removes the tag, and sets the tags that it displaced. Call it only after EBS has completed the snapshot: until then,
   * the tag is needed to find it.
   * @param last the tags that `tagsBesideCheckpoint` deferred.
   */
  async drop(snapshot: string, last: Record<string, string>): Promise<void> {
    const { snapshots, host } = this.#services;
    try {
      await snapshots.removeTags(this.#subject.id, [CHECKPOINT_TAG], { signal: cleanupSignal() });
    } catch (thrown) {
      const error = asSnapError(thrown);
      const what = `the tag ${CHECKPOINT_TAG} of ${this.#subject.id}`;
      host.notify({ code: 'cleanup.failed', snapshot, what, error });
      return this.#reportDropped(snapshot, last, `the tag ${CHECKPOINT_TAG} could not be removed and uses its place`);
    }
    if (Object.keys(last).length === 0) return;
    try {
      await snapshots.setTags(this.#subject.id, last, { signal: cleanupSignal() });
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
    if (!this.#subject.canResume) return true;
    const [found] = await this.#services.snapshots.byId([this.#subject.id], { signal });
    return found !== undefined && parseCheckpoint(found.tags).holder === thisHolder();
  }

  async #set(holder: string, block: number, signal: AbortSignal): Promise<void> {
    const seal = this.#seal;
    const digest = this.canBeReleased ? this.#subject.digest : NO_DIGEST;
    const value = formatCheckpoint({ digest, holder, block, seal });
    await this.#services.snapshots.setTags(this.#subject.id, { [CHECKPOINT_TAG]: value }, { signal });
    this.#savedBlock = block;
  }
}
