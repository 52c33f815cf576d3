/** Measures the time of commands, the processor time of all their processes, and the memory of the first process. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Measured {
  seconds: number;
  /** The processor time of the command, and of everything that it started and waited for. */
  cpuSeconds: number;
  /** The processor time of the command's own process. */
  ownCpuSeconds: number;
  peakMiB: number;
  stdout: string[];
  stderr: string;
}

const TICKS_A_SECOND = 100;

/** Milliseconds between two observations of the process. The last observation counts. */
const LOOK_INTERVAL = 20;

/** If the bench is interrupted, it ends its command, and then removes what it has created. */
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort(new Error(signal)));

export async function measure(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  const [tool = '', ...rest] = argv;
  const started = performance.now();
  interruption.signal.throwIfAborted();
  const child = spawn(tool, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const interrupt = () => child.kill('SIGINT');
  interruption.signal.addEventListener('abort', interrupt);
  const stdout: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => stdout.push(line));
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-2000);
  });
  let last = { own: 0, all: 0, peakMiB: 0 };
  const looking = setInterval(() => {
    const now = look(child.pid ?? 0);
    if (now) last = { ...now, peakMiB: Math.max(now.peakMiB, last.peakMiB) };
  }, LOOK_INTERVAL);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(looking);
  interruption.signal.removeEventListener('abort', interrupt);
  interruption.signal.throwIfAborted();
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}: ${stderr}`);
  return {
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: last.all,
    ownCpuSeconds: last.own,
    peakMiB: last.peakMiB,
    stdout,
    stderr,
  };
}

/** Returns the seconds in an event of a run with `--json`, or NaN if there is no such event. */
export function secondsOf(event: string, { stdout }: Pick<Measured, 'stdout'>): number {
  const found = stdout
    .map((line) => JSON.parse(line) as { code: string; seconds: number })
    .find(({ code }) => code === event);
  return found?.seconds ?? Number.NaN;
}

function look(pid: number): { own: number; all: number; peakMiB: number } | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
    const [own, children] = [11, 13].map((at) => ((fields[at] ?? 0) + (fields[at + 1] ?? 0)) / TICKS_A_SECOND);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const peakMiB = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    return { own: own ?? 0, all: (own ?? 0) + (children ?? 0), peakMiB };
  } catch {
    return null;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
