/** What a run that was broken off has left behind, and what is known of its snapshot. */
import type { Snapshot, UnfinishedUpload, Volume } from '../../cloud/ports.ts';
import type { Services } from '../shared/services.ts';
import type { CleanSettings } from '../shared/settings/clean.ts';
import type { StoreClock } from '../shared/store-clock.ts';
import type { FoundClaim } from '../sharing/claims.ts';

export interface Leftover {
  kind: 'volume' | 'upload' | 'object' | 'tag' | 'claim' | 'snapshot';
  id: string;
  /** One clause, for people. */
  what: string;
  /** `null` where nobody keeps it. */
  ageSeconds: number | null;
  /** US dollars at list prices; `null` where it costs nothing. */
  dollarsMonth: number | null;
  /** Why it is left alone; `null` when it may go. */
  obstacle: string | null;
  /** Not to be called without the claim of the snapshot. */
  remove: () => Promise<void>;
}

/** All that is known of one snapshot. */
export interface Trace {
  snapshotId: string;
  found: FoundClaim | null;
  /** Temporary volumes of the snapshot, of this bucket and prefix. */
  volumes: Volume[];
  /** Whether there are temporary volumes of it that belong to others. */
  isUsedByOthers: boolean;
  /** `null` when it was deleted. */
  snapshot: Snapshot | null;
  /** Unfinished uploads below the prefix: all of the snapshot's, and perhaps others. */
  uploads: readonly UnfinishedUpload[];
}

export interface Survey {
  settings: CleanSettings;
  services: Services;
  /** The instance that this runs on, if it is one. */
  instanceId: string | null;
  signal: AbortSignal;
  /** By which ages are told. */
  clock: StoreClock;
}
