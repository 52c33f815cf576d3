/** Kills a run of the program, with everything that it has started, at a chosen moment. */
import { randomUUID } from 'node:crypto';
import { type Finished, runCli, type TestLab } from '../lab.ts';
import { until } from '../until.ts';
import { killFamily } from './kill-family.ts';

/** A line of the output, the number of a line, a time in milliseconds, or a write to the bucket that is not carried out. */
export type KillAt =
  | { line: { test(line: string): boolean } }
  | { lines: number }
  | { after: number }
  | { write: 'PutObject' | 'DeleteObject'; skip: number };

export interface KilledRun {
  done: Finished;
  /** `false` if the run ended before the moment came. */
  isKilled: boolean;
}

export async function runAndKill(lab: TestLab, argv: readonly string[], at: KillAt): Promise<KilledRun> {
  const marker = randomUUID();
  const kill = () => killFamily(marker);
  const held = 'write' in at ? await holdWrite(lab, at) : null;
  const timer = 'after' in at ? setTimeout(kill, at.after) : undefined;
  let lines = 0;
  const running = runCli(lab.env, argv, {
    env: { SNAP_TO_S3_TEST_RUN: marker },
    onLine: (line) => {
      lines++;
      if (('line' in at && at.line.test(line)) || ('lines' in at && at.lines === lines)) kill();
    },
  });
  const watching = held?.(running).then(kill);
  const done = await running;
  clearTimeout(timer);
  await watching;
  return { done, isKilled: done.code === null };
}

/** @returns a function that waits until the write is held, or until the run has ended without it. */
async function holdWrite({ control }: TestLab, { write, skip }: { write: string; skip: number }) {
  await control.script({ service: 's3', operation: write, skip, action: { kind: 'hang' } });
  return async (running: Promise<unknown>): Promise<void> => {
    let isOver = false;
    void running.then(() => {
      isOver = true;
    });
    await until(async () => isOver || (await control.unusedFaults()).length === 0);
    await control.clearFaults();
  };
}
