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

/** @param answer where what was asked for goes; all else goes to the stream. */
export function textScreen(stream: Stream, print: (text: string) => void, answer: (text: string) => void): Screen {
  const screen = stream.isTTY ? terminalScreen(stream, print) : logScreen(stream, print);
  return {
    ...screen,
    notify: (event) => (ANSWERS.has(event.code) ? answer(`${describeEvent(event)}\n`) : screen.notify(event)),
  };
}

/** For pipes: `list ... | grep`. */
const ANSWERS = new Set<string>([
  'archive.listed',
  'archive.shown',
  'file.listed',
  'file.found',
  'drill.finished',
] satisfies SnapEvent['code'][]);

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

function terminalScreen(stream: Stream, print: (text: string) => void): Screen {
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
  let live = 0;
  // Lines are shown above bars when those are drawn next: without a bar, that is never.
  const log = (text: string) => (live > 0 ? bars.log(`${text}\n`) : print(`${text}\n`));
  return {
    notify: (event) => show(event, stream, log),
    report: (report) => log(reportTable(report).join('\n')),
    track: (task) => {
      live++;
      const bar = trackBar(bars, task);
      return {
        [Symbol.dispose]: () => {
          bar[Symbol.dispose]();
          live--;
          if (live === 0) bars.stop();
        },
      };
    },
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
