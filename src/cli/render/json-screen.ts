/** Events as JSON lines on standard output; docs/events.md lists them. */
import { pino } from 'pino';
import type { ProgressTask, SnapEvent } from '../../events.ts';
import { errorRecord } from './error.ts';
import type { Screen } from './screen.ts';
import { every } from './ticker.ts';

/** Seconds between the progress records of an object. */
const PROGRESS_INTERVAL = 10;

/** @param onLost called when a record cannot be written. */
export function jsonScreen(onLost: (error: unknown) => void): Screen {
  const destination = pino.destination({ dest: 1, sync: true });
  destination.on('error', onLost);
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    destination,
  );
  return {
    notify: (event) => log.info(plain(event)),
    report: () => {},
    track: (task) => every(PROGRESS_INTERVAL, () => log.info(progressRecord(task))),
    [Symbol.dispose]: () => {},
  };
}

const progressRecord = (task: ProgressTask) => ({
  code: 'object.progress',
  object: task.label,
  readBytes: task.read(),
  ...(task.stored === null ? {} : { storedBytes: task.stored() }),
  expectedBytes: task.expectedBytes,
});

/** Replaces the error of an event by a record, because JSON omits the fields of an `Error`. */
const plain = (event: SnapEvent): object =>
  'error' in event && event.error !== undefined ? { ...event, error: errorRecord(event.error) } : event;
