/** What `doctor` asks of a cloud. Nothing is changed by it. */
import type { Call, NewVolume } from './ports.ts';

export interface LifecycleNote {
  id: string;
  /** Keys that begin with it; empty for all. Rules that go by tags or sizes only are taken to cover nothing. */
  prefix: string;
  /** Days after which objects are deleted; `null`: never. */
  expiresAfter: number | null;
  /** Days after which unfinished uploads are aborted; `null`: never. */
  abortsUploadsAfter: number | null;
  /** Days after which versions that were replaced or deleted go; `null`: never. */
  deletesVersionsAfter: number | null;
}

/** `null` where this caller may not look. */
export interface BucketRules {
  region: string | null;
  versioning: 'on' | 'suspended' | 'off' | null;
  /** The default retention, or `none` where there is no object lock. */
  objectLock: string | null;
  lifecycle: LifecycleNote[] | null;
  /** By the store's clock. */
  answeredAt: Date;
}

/** Dry runs throw `ACCESS_DENIED`, or whatever else would have kept the real call from succeeding. */
export interface Examiner {
  createVolume(wanted: NewVolume, call: Call): Promise<void>;
  tagSnapshot(snapshotId: string, tagKey: string, call: Call): Promise<void>;
  /** A write under a condition that no object fulfils: refused either way, and for another reason when it is allowed. */
  writeObject(key: string, call: Call): Promise<void>;
  bucketRules(call: Call): Promise<BucketRules>;
}
