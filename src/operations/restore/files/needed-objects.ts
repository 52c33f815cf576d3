/** Excludes objects that would have to be thawed although they contain none of the requested paths. */
import type { ArchiveStore } from '../../../cloud/ports.ts';
import type { Host } from '../../../events.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import type { WantedMembers } from '../../reading/index/choose-members.ts';
import { findArchived } from '../../thaw/archived-objects.ts';

interface Candidate {
  object: ArchivedObject;
  /** The requested members according to the index; `null` if everything is requested or there is no index. */
  wanted: WantedMembers | null;
}

/** Notifies the host of the objects that it excludes. @param paths `null` for everything. */
export async function neededObjects<T extends Candidate>(
  snapshot: string,
  candidates: readonly T[],
  paths: readonly string[] | null,
  { store, host, signal }: { store: ArchiveStore; host: Host; signal: AbortSignal },
): Promise<T[]> {
  const notNeeded = candidates.filter(({ wanted }) => wanted && paths?.length === wanted.missing.length);
  const keys = notNeeded.map(({ object }) => object.key);
  const { frozen, thawing } = await findArchived(keys, store, signal);
  const archived = new Set([...frozen, ...thawing].map(({ key }) => key));
  for (const { object } of notNeeded.filter((found) => archived.has(found.object.key))) {
    const reason = 'its object contains none of the requested paths and is not thawed';
    host.notify({ code: 'partition.not-restored', snapshot, partition: object.partition, reason });
  }
  return candidates.filter(({ object }) => !archived.has(object.key));
}
