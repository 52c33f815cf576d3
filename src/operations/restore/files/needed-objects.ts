/** Of objects that would have to be thawed, those that hold what was asked for. */
import type { ArchiveStore } from '../../../cloud/ports.ts';
import type { Host } from '../../../events.ts';
import type { WantedMembers } from '../../reading/choose-members.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { findArchived } from '../../thaw/archived-objects.ts';

/** What an index says of the paths that were asked for; `null` where none tells. */
interface Candidate {
  object: ArchivedObject;
  wanted: WantedMembers | null;
}

/** What is left out is told. @param paths `null` for everything. */
export async function neededObjects<T extends Candidate>(
  snapshot: string,
  candidates: readonly T[],
  paths: readonly string[] | null,
  { store, host, signal }: { store: ArchiveStore; host: Host; signal: AbortSignal },
): Promise<T[]> {
  const useless = candidates.filter(({ wanted }) => wanted && paths?.length === wanted.missing.length);
  const keys = useless.map(({ object }) => object.key);
  const { frozen, thawing } = await findArchived(keys, store, signal);
  const archived = new Set([...frozen, ...thawing].map(({ key }) => key));
  for (const { object } of useless.filter((found) => archived.has(found.object.key))) {
    const reason = 'it holds nothing of what was asked for, and is left in its archive class';
    host.notify({ code: 'partition.not-restored', snapshot, partition: object.partition, reason });
  }
  return candidates.filter(({ object }) => !archived.has(object.key));
}
