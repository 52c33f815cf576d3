/** Measures the memory of a run of the compiled program, which users install. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FLAGS } from '../../../src/lib/node-flags.ts';
import { BUCKET, runProgram, type TestLab } from '../lab.ts';
import { build } from './built.ts';

export interface MeasuredRun {
  /** The maximum resident memory of the process, without its children, until the event. */
  maxBytes: number;
  stdout: string;
}

/** Runs the program, which must succeed. @param event an event near the end of the measured work. */
export async function runMeasured(lab: TestLab, argv: readonly string[], event: string): Promise<MeasuredRun> {
  using built = build();
  let maxBytes = 0;
  let pid = '';
  // The program replaces the shell, so its process id is known before it starts.
  const script = 'echo $$ >&2; exec "$@"';
  const [command = '', ...options] = argv;
  const program = [process.execPath, ...NODE_FLAGS, built.program, command, '--json', '--bucket', BUCKET, ...options];
  const mount = ['--mount-point', join(lab.directory, 'mnt')];
  const done = await runProgram(['sh', '-c', script, 'sh', ...program, ...mount], {
    env: lab.env,
    onLine: (line) => {
      if (/^\d+$/.test(line)) pid = line;
      if (line.includes(event)) maxBytes = highWaterMark(pid);
    },
  });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { maxBytes, stdout: done.stdout };
}

const highWaterMark = (pid: string): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
