/** The tag that tells people what becomes of a snapshot. */
import type { Snapshot } from '../../cloud/ports.ts';
import { asError, SnapError } from '../../errors.ts';
import type { Holding, Host } from '../../events.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Services } from '../shared/services.ts';
import { hasRoomForTag } from './tag-room.ts';

/** Everything was compared: what lets people delete a snapshot. */
export const VALIDATED = 'validated';

/** Only what files contain was compared, which lets nobody delete anything. */
export const CONTENT_VALIDATED = 'content-validated';

/** Nothing is left to be done about the archive itself. */
export const DONE: readonly string[] = ['migrated', CONTENT_VALIDATED, VALIDATED];

/** Disposed once nobody here is answerable for it any more. */
export interface StateTag extends Disposable {
  /** Sets the final value, and drops what version 0 may have left beside it. */
  settle(value: string, signal: AbortSignal): Promise<void>;
  /** Back to what it was before; without a tag before, without one after. */
  revert(): Promise<void>;
}

interface BegunState {
  key: string;
  /** Says that work is under way. */
  value: string;
  /** The value before a run that was killed began with it, or now; `null` for none. */
  tagBefore: string | null;
}

/**
 * Sets the tag to a value that says that work is under way. A snapshot that has no room for the tag is worked on without
 * it, and reported: the manifest says what the tag would.
 */
export async function beginState(
  snapshot: Snapshot,
  { key, value, tagBefore }: BegunState,
  { snapshots, host }: Services,
  signal: AbortSignal,
): Promise<StateTag> {
  if (reportNoRoom(snapshot, key, host)) return WITHOUT_TAG;
  const before = stuckValue(tagBefore, value);
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

/** Takes the tag back, and tells where that fails. */
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

/** @param before the value that the tag gets; `null` drops it. */
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
 * What the tag is to be again after work that was begun with one value. A run that was killed leaves `migrating` and
 * `validating` behind; they are no state to go back to. What does not validate is not validated any more.
 * @param value before the work; `null` for no tag.
 */
export function stuckValue(value: string | null, begun: string): string | null {
  const isProved = value === VALIDATED || value === CONTENT_VALIDATED;
  if (begun === 'validating' && (value === 'validating' || isProved)) return 'migrated';
  return value === 'migrating' || value === 'validating' ? 'migrate' : value;
}
