/** Types for the leftovers of interrupted runs. */
import type { Snapshot, UnfinishedUpload, Volume } from '../../cloud/ports.ts';
import type { Services } from '../shared/services.ts';
import type { CleanSettings } from '../shared/settings/clean.ts';
import type { StoreClock } from '../shared/store-clock.ts';
import type { FoundClaim } from '../sharing/claims.ts';

export interface Leftover {
  kind: 'volume' | 'upload' | 'object' | 'tag' | 'claim' | 'snapshot';
  id: string;
  /** A description for messages. */
  what: string;
  /** `null` if AWS does not record it. */
  ageSeconds: number | null;
  /** Monthly cost in US dollars at list prices; `null` if it is free. */
  dollarsMonth: number | null;
  /** Why it must not be removed; `null` if it can be. */
  obstacle: string | null;
  /** Call it only while holding the claim of the snapshot. */
  remove: () => Promise<void>;
}

/** Everything that was found for one snapshot. */
export interface Trace {
  snapshotId: string;
  found: FoundClaim | null;
  /** Temporary volumes of the snapshot for this bucket and prefix. */
  volumes: Volume[];
  /** Whether the snapshot has temporary volumes for another bucket or prefix. */
  isUsedByOthers: boolean;
  /** `null` if the snapshot was deleted. */
  snapshot: Snapshot | null;
  /** Unfinished uploads below the prefix: all of the snapshot, and possibly those of other snapshots. */
  uploads: readonly UnfinishedUpload[];
}

/** The context of a search for leftovers. */
export interface Survey {
  settings: CleanSettings;
  services: Services;
  /** `null` if this machine is not an EC2 instance. */
  instanceId: string | null;
  signal: AbortSignal;
  /** The clock that determines ages. */
  clock: StoreClock;
}
