/** Types for the leftovers of interrupted runs. */
import type { ListedObject, Snapshot, UnfinishedUpload, Volume } from '../../cloud/ports.ts';
import type { RegionPrices } from '../../costs/price-types.ts';
import type { Services } from '../shared/services.ts';
import type { StoreClock } from '../shared/store-clock.ts';
import type { FoundClaim } from '../sharing/claims.ts';

/** What would have to be removed. A claim records the other leftovers of its snapshot; new snapshots are never removed. */
export type Subject =
  | { kind: 'volume'; volume: Volume }
  | { kind: 'upload'; upload: UnfinishedUpload }
  | { kind: 'object'; object: ListedObject }
  /** @param before the value that the tag gets; `null` if it is removed. */
  | { kind: 'tag'; snapshot: Snapshot; before: string | null }
  | { kind: 'claim' }
  | { kind: 'snapshot' };

export interface LeftoverFacts {
  kind: Subject['kind'];
  id: string;
  /** A description for messages. */
  what: string;
  /** `null` if AWS does not record it. */
  ageSeconds: number | null;
  /** Monthly cost in US dollars at list prices; `null` if it is free. */
  dollarsMonth: number | null;
  /** Why it must not be removed; `null` if it can be. */
  obstacle: string | null;
}

export type Leftover = LeftoverFacts & { subject: Subject };

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

export interface SurveySettings {
  tagKey: string;
  prefix: string;
  /** Minimum age in seconds of what may be removed. */
  olderThan: number;
}

/** The context of a search for leftovers. The search changes nothing. */
export interface Survey {
  settings: SurveySettings;
  services: Services;
  /** `null` if this machine is not an EC2 instance. */
  instanceId: string | null;
  signal: AbortSignal;
  /** The clock that determines ages. */
  clock: StoreClock;
  /** The prices of the region of the bucket. */
  bucketPrices: RegionPrices;
}
