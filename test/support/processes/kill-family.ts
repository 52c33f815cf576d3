/** `kill -9` for a program and all processes that it has started, which an environment variable identifies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { Finished } from '../lab.ts';

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

/** Asserts that a run did not end by itself. Otherwise, nothing was interrupted, and a test of the next run proves nothing. */
export function assertKilled({ code, signal, stdout, stderr }: Finished): void {
  assert.equal(signal, 'SIGKILL', `the run ended by itself with exit code ${code}: ${stdout}${stderr}`);
}
