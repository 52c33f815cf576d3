/** The output of `--quiet`: only failures, differences and leftovers. */
import type { Screen } from './screen.ts';
import { describeEvent } from './text/event-lines.ts';

export function quietScreen(print: (text: string) => void): Screen {
  return {
    notify(event) {
      const failed = event.code === 'snapshot.finished' && event.error !== undefined;
      const differs = event.code === 'snapshot.validated' && event.differenceCount > 0;
      if (failed || differs || event.code === 'cleanup.failed') print(`${describeEvent(event)}\n`);
    },
    report: () => {},
    track: () => ({ [Symbol.dispose]: () => {} }),
    [Symbol.dispose]: () => {},
  };
}
