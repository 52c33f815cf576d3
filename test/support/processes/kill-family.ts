/** `kill -9` for a program and all processes that it has started, which an environment variable identifies. */
import { readdirSync, readFileSync } from 'node:fs';

/** Kills the program and everything that it started. */
export function killFamily(marker: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(marker)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // The process has ended in the meantime.
    }
  }
}
