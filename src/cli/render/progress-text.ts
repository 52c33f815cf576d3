/** The progress of an object as numbers, and as a line that fits on a terminal. */
import type { ProgressTask } from '../../events.ts';
import { ANY_SNAPSHOT_ID } from '../../lib/aws-names.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';

export interface Progress {
  /** The finished share, from 0 to 0.99: the expected size is an estimate, so a running object never shows 1. */
  share: number;
  /** Bytes per second; 0 if not known yet. */
  rate: number;
  /** `1.2 GiB read, 560 MiB stored, 2.14:1, 120 MiB/s, 3 min 20 s left` */
  text: string;
}

export function describeProgress(task: ProgressTask, elapsedSeconds: number): Progress {
  const read = task.read();
  const rate = elapsedSeconds > 0 ? (read - (task.from ?? 0)) / elapsedSeconds : 0;
  const text = [`${formatBytes(read)} read`, ...storedParts(task), rateText(rate), timeLeft(task, rate)];
  return { share: shareOf(task), rate, text: text.filter((part) => part !== '').join(', ') };
}

const BAR_WIDTH = 20;

/**
 * One line of at most `width` columns. If it does not fit, the bar, the stored bytes and the rate are omitted, in this
 * order. Then the label is truncated at its start, because the objects of a snapshot differ at the end of the label.
 */
export function progressLine(task: ProgressTask, elapsedSeconds: number, width: number): string {
  const { share, rate } = describeProgress(task, elapsedSeconds);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const read = formatBytes(task.read());
  const left = timeLeft(task, rate);
  const label = shortLabel(task.label);
  const variants = [
    [barOf(share), percent, label, read, ...storedParts(task), rateText(rate), left],
    [percent, label, read, ...storedParts(task), rateText(rate), left],
    [percent, label, read, rateText(rate), left],
    [percent, label, left],
  ].map((parts) => parts.filter((part) => part !== '').join('  '));
  return variants.find((line) => line.length <= width) ?? shortened([percent, left], label, width);
}

const LAST_PART = new RegExp(`${ANY_SNAPSHOT_ID}[^/]*$`);

/** `vol-1/2026-01-01T00:00:00+00:00 snap-1.2.tar.lz4` → `snap-1.2.tar.lz4` */
const shortLabel = (label: string): string => label.slice(label.search(LAST_PART) || 0).trimStart() || label;

function shortened([percent = '', left = '']: readonly string[], label: string, width: number): string {
  const tail = left === '' ? '' : `  ${left}`;
  const room = width - percent.length - tail.length - 2;
  if (room < 8) return `${percent}${tail}`.slice(0, Math.max(0, width));
  return `${percent}  …${label.slice(1 - room)}${tail}`;
}

function barOf(share: number): string {
  const full = Math.round(share * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
}

function storedParts(task: ProgressTask): string[] {
  const stored = task.stored?.() ?? null;
  if (stored === null) return [];
  const ratio = stored > 0 ? [`${(task.read() / stored).toFixed(2)}:1`] : [];
  return [`${formatBytes(stored)} stored`, ...ratio];
}

/** Returns at most 0.99: the expected size is an estimate, and reaching it does not mean that the object is finished. */
export const shareOf = (task: ProgressTask): number =>
  task.expectedBytes > 0 ? Math.min(Math.max(task.read() / task.expectedBytes, 0), 0.99) : 0;

const rateText = (rate: number): string => (rate > 0 ? `${formatBytes(rate)}/s` : '');

function timeLeft(task: ProgressTask, rate: number): string {
  const rest = task.expectedBytes - task.read();
  return rate > 0 && rest > 0 ? `${formatDuration(rest / rate)} left` : '';
}
