/** The host of a command line: text or JSON, on a terminal or in a log. */
import type { Host } from '../../events.ts';
import { killLiveProcesses } from '../../transfer/process.ts';
import type { CliContext } from '../context.ts';
import { HoldingList } from './holdings.ts';
import { jsonScreen } from './json-screen.ts';
import { quietScreen } from './quiet-screen.ts';
import type { Screen } from './screen.ts';
import { textScreen } from './text-screen.ts';

export type CliHost = Host & Disposable;

export function openHost(flags: { json?: true; quiet?: true }, context: CliContext): CliHost {
  const screen = chooseScreen(flags, context.process);
  const holdings = new HoldingList();
  context.onFirstSignal = (signal) => screen.notify({ code: 'run.stopping', signal });
  context.onSecondSignal = () => {
    killLiveProcesses();
    context.process.stderr.write(holdings.describe());
  };
  return {
    notify: (event) => screen.notify(event),
    track: (task) => screen.track(task),
    hold: (holding) => holdings.add(holding),
    [Symbol.dispose]: () => screen[Symbol.dispose](),
  };
}

function chooseScreen(flags: { json?: true; quiet?: true }, process: NodeJS.Process): Screen {
  if (flags.json) return jsonScreen();
  if (flags.quiet) return quietScreen(process.stderr);
  return textScreen(process.stderr);
}
