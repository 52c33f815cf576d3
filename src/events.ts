/**
 * The events of operations. Operations never print: they notify a `Host`, which converts events to text, JSON lines or
 * progress bars. Codes are stable and documented in docs/events.md.
 */
import type { BucketEvent } from './events/bucket.ts';
import type { CostEvent } from './events/costs.ts';
import type { ExpiryEvent } from './events/expiry.ts';
import type { RestoreEvent } from './events/restore.ts';
import type { RunEvent } from './events/run.ts';
import type { SourceEvent } from './events/source.ts';
import type { StoringEvent } from './events/storing.ts';
import type { UpkeepEvent } from './events/upkeep.ts';

export type * from './events/bucket.ts';
export type * from './events/costs.ts';
export type * from './events/expiry.ts';
export type * from './events/records.ts';
export type * from './events/restore.ts';
export type * from './events/run.ts';
export type * from './events/source.ts';
export type * from './events/storing.ts';
export type * from './events/upkeep.ts';

/** The events. `snapshot` is always a snapshot id; sizes are in bytes and durations in seconds. */
export type SnapEvent =
  | RunEvent
  | SourceEvent
  | StoringEvent
  | RestoreEvent
  | BucketEvent
  | UpkeepEvent
  | ExpiryEvent
  | CostEvent;

/** The progress of an object, which the host polls. */
export interface ProgressTask {
  readonly label: string;
  /** An estimate; 0 if it is unknown. */
  readonly expectedBytes: number;
  /** Plain bytes read so far, including those before `from`. */
  read(): number;
  /** Plain bytes that an earlier run has read and that this one skips (default: 0). */
  from?: number;
  /** Bytes uploaded to S3 so far; `null` if nothing is uploaded. */
  stored: (() => number) | null;
}

/** A resource that a run holds, and that costs money or blocks other runs until it is released. */
export interface Holding {
  /** For example `volume vol-1 (of snap-1)`. */
  what: string;
  /** A shell command that releases it. */
  cleanupCommand: string;
}

export interface Host {
  notify(event: SnapEvent): void;
  /** Shows the progress of a task until disposed. */
  track(task: ProgressTask): Disposable;
  /** Records a resource until disposed, so that a run that is stopped immediately can report what it leaves behind. */
  hold(holding: Holding): Disposable;
}

const nothing: Disposable = { [Symbol.dispose]: () => {} };

/** A host that ignores all events, for library users who need only the result. */
export const silentHost: Host = { notify: () => {}, track: () => nothing, hold: () => nothing };
