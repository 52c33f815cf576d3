/** Shows two objects on the terminal, with log lines between redraws, until each has been drawn often enough. */
import { textScreen } from '../../../src/cli/render/text-screen.ts';
import { OBJECTS } from './progress-objects.ts';

const DRAWN = 24;

const print = (text: string) => void process.stderr.write(text);
using screen = textScreen(process.stderr, print, print);

screen.notify({ code: 'run.started', command: 'migrate', snapshots: ['snap-1', 'snap-2'], priceRegion: null });
await Promise.all(OBJECTS.map(show));
print('END\n');

/** Each redraw reads the progress of the task, which serves as the clock. */
async function show(label: string): Promise<void> {
  let drawn = 0;
  await new Promise<void>((resolve) => {
    const task = screen.track({
      label,
      expectedBytes: 1e9,
      read: () => {
        drawn++;
        if (drawn === DRAWN) screen.notify({ code: 'snapshot.started', snapshot: label, volume: 'vol-1', sizeGiB: 8 });
        if (drawn >= 2 * DRAWN)
          setImmediate(() => {
            task[Symbol.dispose]();
            resolve();
          });
        return drawn * 1e6;
      },
      stored: () => drawn * 5e5,
    });
  });
}
