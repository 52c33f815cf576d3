/** What a tar cannot keep of a filesystem, counted while it is archived, told, and noted. */
import type { ManifestObject } from '../archive/manifest.ts';
import { type NotKept, notKeptOf } from '../host/not-kept.ts';
import { printable } from '../lib/printable.ts';
import type { Migration } from './migration.ts';

export interface MountedFilesystem {
  type: string;
  device: string;
  root: string;
}

/** @param store archives the files; what it throws ends the count too. */
export async function countingNotKept(
  { type, device, root }: MountedFilesystem,
  { snapshot, services, signal }: Migration,
  store: () => Promise<ManifestObject>,
): Promise<ManifestObject> {
  const ended = new AbortController();
  const counting = notKeptOf(type, device, root, AbortSignal.any([signal, ended.signal]));
  // Awaited below in any case: nothing may look at the filesystem when it is unmounted.
  counting.catch(() => {});
  try {
    const object = await store();
    const notKept = await counting;
    for (const { what, count } of notKept) {
      const advice = type === 'ntfs' ? 'of a disk of Windows, --dd keeps everything' : null;
      services.host.notify({
        code: 'partition.not-kept',
        snapshot: snapshot.id,
        partition: object.partition,
        what,
        count,
        advice,
      });
    }
    return { ...object, notKept };
  } finally {
    ended.abort();
    await counting.catch(() => {});
  }
}

/** `flags of chattr (of 3 files)` */
export const describeNotKept = ({ what, count }: NotKept): string =>
  count === null ? printable(what) : `${printable(what)} (of ${count} ${count === 1 ? 'file' : 'files'})`;
