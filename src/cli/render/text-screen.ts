/** Lines for people: with bars below them on a terminal, with a calm line every so often in a log. */
import { MultiBar, Presets } from 'cli-progress';
import type { ProgressTask, SnapEvent } from '../../events.ts';
import { monotonic } from '../../lib/clock.ts';
import type { Stream } from './paint.ts';
import { paint } from './paint.ts';
import { describeProgress } from './progress-text.ts';
import { reportTable } from './report-table.ts';
import type { Screen } from './screen.ts';
import { describeEvent } from './text.ts';
import { every } from './ticker.ts';

export const textScreen = (stream: Stream, print: (text: string) => void): Screen =>
  stream.isTTY ? terminalScreen(stream) : logScreen(stream, print);

const REDRAW_EACH = 0.25;

/** Often enough to see that it lives, seldom enough for a night's log. */
const LOG_LINE_EACH = 30;

function logScreen(stream: Stream, print: (text: string) => void): Screen {
  const write = (text: string) => print(`${text}\n`);
  return {
    notify: (event) => show(event, stream, write),
    report: (report) => write(reportTable(report).join('\n')),
    track(task) {
      const started = monotonic();
      return every(LOG_LINE_EACH, () =>
        write(`${task.label}: ${describeProgress(task, (monotonic() - started) / 1000).text}`),
      );
    },
    [Symbol.dispose]: () => {},
  };
}

function terminalScreen(stream: Stream): Screen {
  const bars = new MultiBar(
    {
      stream,
      format: '{bar} {label}\n  {text}',
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      forceRedraw: true,
      barsize: 20,
    },
    Presets.shades_classic,
  );
  const log = (text: string) => bars.log(`${text}\n`);
  return {
    notify: (event) => show(event, stream, log),
    report: (report) => log(reportTable(report).join('\n')),
    track: (task) => trackBar(bars, task),
    [Symbol.dispose]: () => bars.stop(),
  };
}

function trackBar(bars: MultiBar, task: ProgressTask): Disposable {
  const started = monotonic();
  const bar = bars.create(1, 0, { label: task.label, text: '' });
  const ticker = every(REDRAW_EACH, () => {
    const progress = describeProgress(task, (monotonic() - started) / 1000);
    bar.update(progress.share, { text: progress.text });
  });
  return {
    [Symbol.dispose]: () => {
      ticker[Symbol.dispose]();
      bars.remove(bar);
    },
  };
}

function show(event: SnapEvent, stream: Stream, write: (text: string) => void): void {
  const text = describeEvent(event);
  if (text === null) return;
  write(isBad(event) ? paint(stream, 'red', text) : text);
}

const isBad = (event: SnapEvent): boolean =>
  event.code === 'cleanup.failed' ||
  (event.code === 'doctor.finding' && event.verdict === 'problem') ||
  (event.code === 'snapshot.validated' && event.differenceCount > 0) ||
  (event.code === 'snapshot.finished' && event.error !== undefined);
