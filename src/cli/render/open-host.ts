/** The host of the command line: passes events to the screen and to the report. */
import type { Host } from '../../events.ts';
import { ReportBuilder } from '../../operations/shared/run-report.ts';
import { killLiveProcesses } from '../../transfer/process.ts';
import type { CliContext } from '../context.ts';
import { HoldingList } from './holdings.ts';
import { jsonScreen } from './json-screen.ts';
import { quietScreen } from './quiet-screen.ts';
import { writeReport } from './report-file.ts';
import type { Screen } from './screen.ts';
import { textScreen } from './text-screen.ts';

export type CliHost = Host & Disposable;

interface HostFlags {
  json?: true;
  quiet?: true;
  report?: string;
  storageClass?: string;
}

/**
 * Writes an empty report at once, so that an unusable `--report` is refused before any work is done.
 * @throws SnapError `USAGE` if the report file cannot be created; `OUTPUT` if its disk is full or broken.
 */
export function openHost(flags: HostFlags, context: CliContext): CliHost {
  const report = new ReportBuilder(flags.storageClass ?? null);
  const save = () => flags.report !== undefined && writeReport(flags.report, report.report);
  save();
  const screen = chooseScreen(flags, context);
  const holdings = new HoldingList();
  context.onFirstSignal = (signal) => screen.notify({ code: 'run.stopping', signal });
  context.onSecondSignal = () => {
    killLiveProcesses();
    context.output.printer(context.process.stderr)(holdings.describe());
  };
  return {
    notify: (event) => {
      report.hear(event);
      screen.notify(event);
      if (event.code !== 'run.finished') return;
      screen.report(report.report);
      save();
    },
    track: (task) => screen.track(task),
    hold: (holding) => holdings.add(holding),
    [Symbol.dispose]: () => screen[Symbol.dispose](),
  };
}

function chooseScreen(flags: { json?: true; quiet?: true }, { process, output }: CliContext): Screen {
  if (flags.json) return jsonScreen((error) => output.note(error));
  const print = output.printer(process.stderr);
  return flags.quiet ? quietScreen(print) : textScreen(process.stderr, print, output.printer(process.stdout));
}
