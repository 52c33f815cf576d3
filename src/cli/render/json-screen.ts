/** Events as JSON lines on standard output; docs/events.md lists them. */
import { pino } from 'pino';
import type { ProgressTask, SnapEvent } from '../../events.ts';
import { errorRecord } from './error.ts';
import type { Screen } from './screen.ts';
import { every } from './ticker.ts';

/** Seconds between records of progress of one object. */
const PROGRESS_EACH = 10;

/** @param onLost told when lines cannot be written. */
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
    track: (task) => every(PROGRESS_EACH, () => log.info(progressRecord(task))),
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

/** Errors inside events as records: the fields of an `Error` are invisible to JSON. */
const plain = (event: SnapEvent): object =>
  'error' in event && event.error !== undefined ? { ...event, error: errorRecord(event.error) } : event;
