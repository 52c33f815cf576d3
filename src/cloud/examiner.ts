/** The checks that `doctor` makes in a cloud. They change nothing, and `removeObject` removes a probe. */
import type { Call, NewVolume } from './ports.ts';

/** An enabled lifecycle rule. */
export interface LifecycleNote {
  id: string;
  /** The rule applies to keys with this prefix; empty means all keys. */
  prefix: string;
  /** The rule applies only to objects with all of these tags. */
  tags: Record<string, string>;
  /** The rule applies only to objects of more, and of less, than these numbers of bytes; `null` means no limit. */
  moreThan: number | null;
  lessThan: number | null;
  /** When objects are deleted: days after they were written, or at this date; `null` means never. */
  expires: number | Date | null;
  /** Days after which unfinished uploads are aborted; `null` means never. */
  abortsUploadsAfter: number | null;
  /** Days after which all noncurrent versions are deleted; `null` means never, or not all of them. */
  deletesVersionsAfter: number | null;
  /** The storage classes to which objects are moved. */
  movesTo: string[];
}

export interface ObjectLockNote {
  isEnabled: boolean;
  /** The default retention, such as `GOVERNANCE for 30 days`; `null` if there is none. */
  defaultRetention: string | null;
}

/** The configuration of a bucket. A property is `null` if the caller may not read it, or if the store does not have it. */
export interface BucketRules {
  region: string | null;
  versioning: 'on' | 'suspended' | 'off' | null;
  objectLock: ObjectLockNote | null;
  lifecycle: LifecycleNote[] | null;
  /** The time of the response by the clock of the store. */
  answeredAt: Date;
}

/** The dry runs throw `ACCESS_DENIED`, or the error with which the real call would fail. */
export interface Examiner {
  createVolume(wanted: NewVolume, call: Call): Promise<void>;
  tagSnapshot(snapshotId: string, tagKey: string, call: Call): Promise<void>;
  /**
   * Tries a write under a condition that no object meets. It always fails: with `AccessDenied` if writing is not
   * allowed, and because of the condition if it is. Only the first of these is thrown.
   */
  writeObject(key: string, call: Call): Promise<void>;
  /** Removes an object, whatever it is. It succeeds if there is none. */
  removeObject(key: string, call: Call): Promise<void>;
  bucketRules(call: Call): Promise<BucketRules>;
}
