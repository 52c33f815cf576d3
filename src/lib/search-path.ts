/** Where programs are looked for. */
import { delimiter } from 'node:path';

/** cron and services of systemd search `/usr/bin:/bin` only, while mount, mkfs and their like are in these. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** @returns the directories of `PATH`, then those for system programs that it lacks. */
export function searchPathOf(env: { readonly PATH?: string | undefined }): string {
  const given = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return [...new Set([...given, ...SYSTEM_DIRECTORIES])].join(delimiter);
}
