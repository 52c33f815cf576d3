/** Text output: with progress bars on a terminal, with a progress line every 30 seconds in a log. */
import { MultiBar, Presets } from 'cli-progress';
import type { SnapEvent } from '../../events.ts';
import { monotonic } from '../../lib/clock.ts';
import type { Stream } from './paint.ts';
import { paint } from './paint.ts';
import { describeProgress, progressLine } from './progress-text.ts';
import { RunProgress } from './run-progress.ts';
import type { Screen } from './screen.ts';
import { describeEvent } from './text/event-lines.ts';
import { reportTable } from './text/report-table.ts';
import { every } from './ticker.ts';

/**
 * @param print writes events and progress, normally to standard error.
 * @param answer writes the results of the command, normally to standard output.
 */
export function textScreen(stream: Stream, print: (text: string) => void, answer: (text: string) => void): Screen {
  const screen = stream.isTTY ? terminalScreen(stream, print) : logScreen(stream, print);
  return {
    ...screen,
    notify: (event) => (ANSWERS.has(event.code) ? answer(`${describeEvent(event)}\n`) : screen.notify(event)),
  };
}

/** The results of commands. They go to standard output, so that they can be piped: `list ... | grep`. */
const ANSWERS = new Set<string>([
  'archive.listed',
  'archive.shown',
  'file.listed',
  'file.found',
  'drill.finished',
  'plan.snapshot',
  'restore.planned',
  'clean.found',
  'clean.removed',
  'clean.finished',
  'expiry.planned',
  'expiry.marked',
  'expiry.unmarked',
  'expiry.removed',
  'expire.finished',
  'doctor.finding',
  'doctor.finished',
] satisfies SnapEvent['code'][]);

const REDRAWS_PER_SECOND = 4;

/** Seconds between progress lines in a log. */
const LOG_INTERVAL = 30;

function logScreen(stream: Stream, print: (text: string) => void): Screen {
  const write = (text: string) => print(`${text}\n`);
  return {
    notify: (event) => show(event, stream, write),
    report: (report) => write(reportTable(report).join('\n')),
    track(task) {
      const started = monotonic();
      return every(LOG_INTERVAL, () =>
        write(`${task.label}: ${describeProgress(task, (monotonic() - started) / 1000).text}`),
      );
    },
    [Symbol.dispose]: () => {},
  };
}

/**
 * Each bar must fit on one line: cli-progress moves the cursor up by the number of bars, even if one of them wraps.
 */
function terminalScreen(stream: Stream, print: (text: string) => void): Screen {
  const started = monotonic();
  const run = new RunProgress();
  const bars = new MultiBar(
    {
      stream,
      format: (_options, _params, { line }: { line: (width: number) => string }) => line(widthOf(stream)),
      fps: REDRAWS_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      // Without this, cli-progress turns off wrapping in the terminal, which would also truncate log lines.
      linewrap: true,
      forceRedraw: true,
      gracefulExit: false,
    },
    Presets.legacy,
  );
  let live = 0;
  let whole: Disposable | null = null;
  // cli-progress prints log lines when it redraws the bars; without a bar it would never print them.
  const log = (text: string) => (live > 0 ? bars.log(withoutRest(text)) : print(`${text}\n`));
  return {
    notify: (event) => {
      run.hear(event);
      show(event, stream, log);
    },
    report: (report) => log(reportTable(report).join('\n')),
    track: (task) => {
      live++;
      const taskStarted = monotonic();
      const counted = run.add(task);
      // The bar of the whole run is created again, so that it stays below the others.
      whole?.[Symbol.dispose]();
      const bar = showLine(bars, (width) => progressLine(task, secondsSince(taskStarted), width));
      whole = showLine(bars, (width) => run.line(secondsSince(started), width));
      return {
        [Symbol.dispose]: () => {
          counted[Symbol.dispose]();
          bar[Symbol.dispose]();
          live--;
          if (live > 0) return;
          whole?.[Symbol.dispose]();
          whole = null;
          bars.stop();
        },
      };
    },
    [Symbol.dispose]: () => bars.stop(),
  };
}

/** The last column is left empty, because some terminals wrap when it is written. */
const widthOf = ({ columns }: Stream): number => (columns ?? 80) - 1;

const secondsSince = (start: number): number => (monotonic() - start) / 1000;

/** Clears the rest of each line, because a log line may overwrite a longer bar. */
const withoutRest = (text: string): string => `${text}\n`.replaceAll('\n', '\u001b[K\n');

function showLine(bars: MultiBar, line: (width: number) => string): Disposable {
  const bar = bars.create(1, 0, { line });
  return { [Symbol.dispose]: () => bars.remove(bar) };
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
