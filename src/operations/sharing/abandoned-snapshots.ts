/** New snapshots of interrupted restores: their state, and what users can do about them. */
import { count } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import { CHECKPOINT_TAG, isFree, isHeldHere, NO_DIGEST, parseCheckpoint } from './resumable-snapshot.ts';
import { isFullOfTags } from './tag-room.ts';

/** A new snapshot with a checkpoint tag that no live process on this machine writes. */
export interface AbandonedSnapshot {
  id: string;
  startTime: Date;
  /** Its state, as a clause. */
  what: string;
  /** What to do about it, as a clause. */
  advice: string;
}

/** @returns snapshots in any state, including those of processes on other machines. */
export async function abandonedSnapshots({ snapshots }: Services, signal: AbortSignal): Promise<AbandonedSnapshot[]> {
  const tagged = await snapshots.withTagKey(CHECKPOINT_TAG, { signal });
  return tagged.flatMap(({ id, startTime, state, tags }) => {
    const checkpoint = parseCheckpoint(tags);
    if (isHeldHere(checkpoint)) return [];
    const facts: Facts = {
      id,
      state,
      block: checkpoint.block,
      isWritten: checkpoint.seal !== null,
      canResume: checkpoint.digest !== NO_DIGEST,
      mayBeWritten: !isFree(checkpoint),
      mayLackTag: isFullOfTags(tags),
    };
    return [
      { id, startTime, what: `created by restore --to-snapshot, ${describeState(facts)}`, advice: adviceFor(facts) },
    ];
  });
}

interface Facts {
  id: string;
  /** The state in EC2: `pending`; `error` if EBS canceled it; `completed` if only the checkpoint tag is left to remove. */
  state: string;
  /** Number of blocks that are certainly written; `null` if the tag cannot be parsed. */
  block: number | null;
  /** Whether all blocks are certainly written. */
  isWritten: boolean;
  /** Whether the same restore, run again, finds it. */
  canResume: boolean;
  /** Whether the tag names a process on another machine, which may still be running. */
  mayBeWritten: boolean;
  /** Whether a tag of the original snapshot may be missing, because the checkpoint tag occupies its place. */
  mayLackTag: boolean;
}

function describeState({ state, block, isWritten, mayLackTag }: Facts): string {
  if (state === 'completed') {
    return `completed; its checkpoint tag remains${mayLackTag ? ' and displaces a tag of the original snapshot' : ''}`;
  }
  if (state === 'error') return 'not completed; EBS canceled it (state error), so its data is unusable';
  if (isWritten) return 'not completed yet; all its blocks are written';
  const inState = state === 'pending' ? '' : `, in state ${state}`;
  return `not completed${inState}${block === null ? '' : `, at least ${count(block, 'block')} written`}`;
}

function adviceFor({ id, state, isWritten, canResume, mayBeWritten }: Facts): string {
  const deletion = `aws ec2 delete-snapshot --snapshot-id ${id}`;
  if (state === 'completed') return adviceForCompleted(id, canResume);
  if (state === 'error') return `it cannot be resumed; delete it: ${deletion}`;
  if (mayBeWritten && isWritten)
    return `a run on another machine may be completing it; if it is still pending in an hour, delete it: ${deletion}`;
  if (mayBeWritten)
    return `a run on another machine may still be writing it; if that run has died, delete it: ${deletion}`;
  return canResume
    ? `run the same restore again to ${isWritten ? 'complete' : 'resume'} it, or delete it: ${deletion}`
    : `it cannot be resumed; delete it: ${deletion}`;
}

const adviceForCompleted = (id: string, canResume: boolean): string =>
  `keep the snapshot; ${canResume ? 'run the same restore again, or ' : ''}remove the tag: aws ec2 delete-tags --resources ${id} --tags Key=${CHECKPOINT_TAG}`;
