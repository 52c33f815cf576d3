/** The settings of `migrate`. */
import type { Encryption } from '../../../archive/cipher.ts';
import type { Codec } from '../../../archive/codec.ts';
import type { Layout } from '../../../archive/key.ts';
import type { LockMode } from '../../../cloud/object-lock.ts';
import type { Selection } from './selection.ts';
import type { VolumeSettings } from './volume.ts';

/** The Object Lock of new archives. */
export interface LockSettings {
  mode: LockMode;
  /** Minimum number of days for which the objects of an archive are locked, counted from the run that completes it: 1 to 36,500. */
  days: number;
}

export interface MigrateSettings extends VolumeSettings {
  selection: Selection;
  /** Key of the tag that records the state of snapshots and marks temporary volumes. */
  tagKey: string;
  /** Empty, or ending in `/`. */
  prefix: string;
  layout: Layout;
  /** Stores points, each of which holds only the blocks that its predecessor lacks; `null` stores whole archives. */
  incremental: {
    /** Maximum number of points of a chain, including its base; `null` for no maximum. */
    baseEvery: number | null;
  } | null;
  codec: Codec;
  encryption: Encryption | null;
  /** Maximum number of partitions of one disk that are archived at the same time. */
  concurrentPartitions: number;
  /** Storage class of the data objects. */
  storageClass: string;
  /** `null` stores objects without a lock. */
  lock: LockSettings | null;
  /** Parts in flight. */
  uploadStreams: number;
  /** Whether a filesystem that cannot be archived as files is an error; otherwise it is stored as an image. */
  strict: boolean;
  /** Whether to validate the archive before its manifest is written. */
  validate: boolean;
  /** Whether to replace an archive that is already complete with the same settings. */
  replace: boolean;
  dryRun: boolean;
}
