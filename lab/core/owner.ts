/** Records which process serves the directory of a lab, so that other labs can tell whether its devices are still in use. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from './files.ts';

const FILE = 'owner.json';

interface Owner {
  pid: number;
  /** When it started, in clock ticks since the boot: process ids are used again. */
  started: string;
}

export const takeDirectory = (directory: string): void =>
  writeFileAtomically(
    join(directory, FILE),
    JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Owner),
  );

export const leaveDirectory = (directory: string): void => rmSync(join(directory, FILE), { force: true });

/** Whether a lab serves the directory now, for all that is known: of one that does not say, only a directory that is gone tells. */
export function isInUse(directory: string): boolean {
  try {
    const { pid, started } = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Owner;
    return started !== '' && startOf(pid) === started;
  } catch {
    return existsSync(directory);
  }
}

/** Field 22 of `/proc/PID/stat`, see proc(5). @returns an empty text if there is no process, or only a zombie. */
function startOf(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
