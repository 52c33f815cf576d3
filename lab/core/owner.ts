/** Records the process that serves the directory of a lab, so that other labs know whether its devices are in use. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from './files.ts';

const FILE = 'owner.json';

interface Owner {
  pid: number;
  /** The start time in clock ticks since boot. It is needed because process ids are reused. */
  started: string;
}

export const takeDirectory = (directory: string): void =>
  writeFileAtomically(
    join(directory, FILE),
    JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner),
  );

export const leaveDirectory = (directory: string): void => rmSync(join(directory, FILE), { force: true });

/** Returns whether a lab may be serving the directory. Without a record of its process, an existing one counts. */
export function isInUse(directory: string): boolean {
  try {
    const { pid, started } = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Owner;
    return started !== '' && startOf(pid) === started;
  } catch {
    return existsSync(directory);
  }
}

/** Returns field 22 of `/proc/PID/stat` (see proc(5)), or an empty text if there is no process, or only a zombie. */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
