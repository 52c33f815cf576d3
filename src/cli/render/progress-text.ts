/** The progress of one object in numbers. */
import type { ProgressTask } from '../../events.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';

export interface Progress {
  /** From 0 to 1; the expectation can be wrong, so never quite 1 while the object is running. */
  share: number;
  /** `1.2 GiB read, 560 MiB stored, 2.14:1, 120 MiB/s, 3 min 20 s left` */
  text: string;
}

export function describeProgress(task: ProgressTask, elapsedSeconds: number): Progress {
  const read = task.read();
  const stored = task.stored?.() ?? null;
  const rate = elapsedSeconds > 0 ? read / elapsedSeconds : 0;
  const parts = [`${formatBytes(read)} read`];
  if (stored !== null) parts.push(`${formatBytes(stored)} stored`);
  if (stored !== null && stored > 0) parts.push(`${(read / stored).toFixed(2)}:1`);
  if (rate > 0) parts.push(`${formatBytes(rate)}/s`, timeLeft(task.expectedBytes - read, rate));
  const share = task.expectedBytes > 0 ? Math.min(read / task.expectedBytes, 0.99) : 0;
  return { share, text: parts.filter((part) => part !== '').join(', ') };
}

const timeLeft = (restBytes: number, rate: number): string =>
  restBytes > 0 ? `${formatDuration(restBytes / rate)} left` : '';
