/** Commands with their time, the CPU time of all that they start, and the memory of the first process. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Measured {
  seconds: number;
  /** Of the command and everything that it started and waited for. */
  cpuSeconds: number;
  /** Of the command's own process. */
  ownCpuSeconds: number;
  peakMiB: number;
  stdout: string[];
  stderr: string;
}

const TICKS_A_SECOND = 100;

/** Looks at the process so often: what it has used at its last look is what counts. */
const LOOK_EACH = 20;

export async function measure(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  const [tool = '', ...rest] = argv;
  const started = performance.now();
  const child = spawn(tool, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
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
  }, LOOK_EACH);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(looking);
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
