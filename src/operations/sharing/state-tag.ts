/** The state tag of a snapshot, which shows its progress to users. */
import type { Snapshot } from '../../cloud/ports.ts';
import { asError, SnapError } from '../../errors.ts';
import type { Holding, Host } from '../../events.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import { hasRoomForTag } from './tag-room.ts';

/** The whole archive matches its snapshot, so the snapshot can be deleted. */
export const VALIDATED = 'validated';

/**
 * Only names and contents of files were compared, or a point whose packs could not be read: not enough to delete the
 * snapshot.
 */
export const CONTENT_VALIDATED = 'content-validated';

/** The states in which the archive is complete. */
export const DONE: readonly string[] = ['migrated', CONTENT_VALIDATED, VALIDATED];

/** A state tag that shows work in progress. Disposal removes it from the list of resources that the run holds. */
export interface StateTag extends Disposable {
  /** Sets the final value, and removes the tag `<key>-id` of version 0. */
  settle(value: string, signal: AbortSignal): Promise<void>;
  /** Restores the previous value, or removes the tag if there was none. */
  revert(): Promise<void>;
}

interface InProgressState {
  key: string;
  /** The value that shows that work is in progress. */
  value: string;
  /** The value before this run, or before the interrupted run that it resumes; `null` if there was no tag. */
  tagBefore: string | null;
}

/**
 * Sets the tag to the value that shows that work is in progress. If the snapshot has no room for the tag, the work continues
 * without it, and the run reports this: the manifest holds the same state.
 */
export async function beginState(
  snapshot: Snapshot,
  { key, value, tagBefore }: InProgressState,
  { snapshots, host }: Services,
  signal: AbortSignal,
): Promise<StateTag> {
  if (reportNoRoom(snapshot, key, host)) return WITHOUT_TAG;
  const before = valueAfterFailure(tagBefore, value);
  const set = async (text: string, within: AbortSignal) => {
    await snapshots.setTags(snapshot.id, { [key]: text }, { signal: within });
    host.notify({ code: 'tag.set', snapshot: snapshot.id, key, value: text });
  };
  await set(value, signal);
  const held = host.hold(tagHolding(snapshot.id, key, value, before));
  return {
    async settle(final, within) {
      await set(final, within);
      held[Symbol.dispose]();
      if (snapshot.tags[`${key}-id`] !== undefined) {
        await snapshots.removeTags(snapshot.id, [`${key}-id`], { signal: within });
      }
    },
    async revert() {
      await freeState(snapshot, key, before, { snapshots, host }, cleanupSignal());
      held[Symbol.dispose]();
    },
    [Symbol.dispose]: () => held[Symbol.dispose](),
  };
}

const WITHOUT_TAG: StateTag = { settle: async () => {}, revert: async () => {}, [Symbol.dispose]: () => {} };

/** @returns whether the snapshot has no room for the tag. */
export function reportNoRoom({ id, tags }: Snapshot, key: string, host: Host): boolean {
  if (hasRoomForTag(tags, key)) return false;
  host.notify({ code: 'tag.no-room', snapshot: id, key });
  return true;
}

function tagHolding(id: string, key: string, value: string, before: string | null): Holding {
  const [verb, tags] =
    before === null ? ['delete-tags', `Key='${key}'`] : ['create-tags', `Key='${key}',Value='${before}'`];
  return { what: `tag ${key}=${value} of ${id}`, cleanupCommand: `aws ec2 ${verb} --resources ${id} --tags ${tags}` };
}

/** Restores the previous value of the tag. A failure is reported as the event `cleanup.failed`. */
export async function revertState(state: StateTag, snapshot: string, key: string, host: Host): Promise<void> {
  try {
    await state.revert();
  } catch (thrown) {
    const error =
      thrown instanceof SnapError
        ? thrown
        : new SnapError('CLEANUP_FAILED', asError(thrown).message, { cause: thrown });
    host.notify({ code: 'cleanup.failed', snapshot, what: `tag ${key}`, error });
  }
}

/** Sets the tag to its previous value. @param before the previous value; `null` removes the tag. */
export async function freeState(
  snapshot: Snapshot,
  key: string,
  before: string | null,
  { snapshots, host }: Pick<Services, 'snapshots' | 'host'>,
  signal: AbortSignal,
): Promise<void> {
  if (before === null) {
    await snapshots.removeTags(snapshot.id, [key], { signal });
    return;
  }
  await snapshots.setTags(snapshot.id, { [key]: before }, { signal });
  host.notify({ code: 'tag.set', snapshot: snapshot.id, key, value: before });
}

/**
 * The value of the tag after work that did not succeed. `migrating` and `validating` are left by runs that were killed,
 * so they are never restored. A snapshot whose validation did not succeed does not stay validated.
 * @param value the value before the work; `null` if there was no tag.
 * @param inProgress the value during the work.
 */
export function valueAfterFailure(value: string | null, inProgress: string): string | null {
  const isValidated = value === VALIDATED || value === CONTENT_VALIDATED;
  if (inProgress === 'validating' && (value === 'validating' || isValidated)) return 'migrated';
  return value === 'migrating' || value === 'validating' ? 'migrate' : value;
}
