/** Starts, stops and inspects labs as background processes. */
import { fork } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Endpoints, LabOptions } from '../index.ts';

export interface RunningLab {
  pid: number;
  endpoints: Endpoints;
  environment: Record<string, string>;
}

/** A file in the directory of the lab that exists while the lab runs. */
export const RUNNING_FILE = 'running.json';

const LOG_FILE = 'lab.log';

/** Limits the young generation, so that memory outside of the heap is freed earlier. */
const LITTLE_ROOM = '--max-semi-space-size=1';

const DAEMON = new URL('../daemon.ts', import.meta.url);

/**
 * Starts a lab unless it is already running.
 * @param program the program of the lab process
 * @throws Error with the end of its log if the lab does not start
 */
export async function labUp(options: LabOptions, program = DAEMON): Promise<RunningLab> {
  const already = labStatus(options.directory);
  if (already) return already;
  mkdirSync(options.directory, { recursive: true });
  const log = openSync(join(options.directory, LOG_FILE), 'a');
  const child = fork(program, [JSON.stringify(options)], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    execArgv: [...process.execArgv, LITTLE_ROOM],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', (code) =>
      reject(new Error(`the lab did not start (exit ${code}): ${logTail(options.directory)}`)),
    );
  });
  child.removeAllListeners();
  child.unref();
  const running = labStatus(options.directory);
  if (!running) throw new Error('the lab started, but left no record of itself');
  return running;
}

/** Stops a lab and keeps its state. @returns whether it was running. */
export async function labDown(directory: string): Promise<boolean> {
  const running = labStatus(directory);
  if (!running) return false;
  process.kill(running.pid, 'SIGTERM');
  while (isAlive(running.pid)) await pause(20);
  return true;
}

/** @returns `null` if no lab is running in the directory, also if it was killed. */
export function labStatus(directory: string): RunningLab | null {
  try {
    const running = JSON.parse(readFileSync(join(directory, RUNNING_FILE), 'utf8')) as RunningLab;
    return isAlive(running.pid) ? running : null;
  } catch {
    return null;
  }
}

/** Checks that the process is a lab, because pids are reused. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('daemon.');
  } catch {
    return false;
  }
}

const logTail = (directory: string): string =>
  readFileSync(join(directory, LOG_FILE), 'utf8').trim().split('\n').slice(-3).join('; ');
