/** Counts what a tar cannot keep of a filesystem, reports it, and records it in the manifest. */
import type { ManifestObject } from '../../archive/manifest.ts';
import { type MountedFilesystem, notKeptOf } from '../../host/disks/not-kept.ts';
import type { NotKept } from '../../host/filesystems/not-kept-note.ts';
import type { Migration } from './migration.ts';

/** @param store archives the files. If it fails, the count is canceled. */
export async function countingNotKept(
  filesystem: MountedFilesystem,
  migration: Migration,
  store: () => Promise<ManifestObject>,
): Promise<ManifestObject> {
  const ended = new AbortController();
  const counting = notKeptOf(filesystem, AbortSignal.any([migration.signal, ended.signal]));
  // It is awaited below in any case, because the filesystem cannot be unmounted while it is in use.
  counting.catch(() => {});
  try {
    const object = await store();
    const notKept = await counting;
    const advice = filesystem.type === 'ntfs' ? '--dd keeps everything on a Windows disk' : null;
    reportNotKept(object.partition, notKept, advice, migration);
    return { ...object, notKept };
  } finally {
    ended.abort();
    await counting.catch(() => {});
  }
}

/** @param partition `null` for the disk. */
export function reportNotKept(
  partition: number | null,
  notKept: readonly NotKept[],
  advice: string | null,
  { snapshot, services }: Migration,
): void {
  for (const { what, count } of notKept)
    services.host.notify({ code: 'partition.not-kept', snapshot: snapshot.id, partition, what, count, advice });
}
