/** Where this program searches for other programs. */
import { delimiter } from 'node:path';

/** cron and systemd services set PATH to `/usr/bin:/bin`, which lacks mount, mkfs and similar programs. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** @returns the directories of `PATH`, followed by the system directories that it lacks. */
export function searchPathOf(env: { readonly PATH?: string | undefined }): string {
  const given = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return [...new Set([...given, ...SYSTEM_DIRECTORIES])].join(delimiter);
}
