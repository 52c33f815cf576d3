/** Events of restores and thaws. */
import type { RestorePlan, ThawOffer } from './records.ts';

export type RestoreEvent =
  | {
      code: 'object.restored';
      snapshot: string;
      key: string;
      target: string;
      bytes: number;
      /** `null` for images. */
      files: number | null;
      /** Stored bytes that were read, including the index. */
      fetchedBytes: number;
      seconds: number;
      /**
       * `blocks` for files out of an image: every block that was read was compared with its hash. The files have no hashes of
       * their own. Absent if everything that was restored was compared.
       */
      verified?: 'blocks';
    }
  | { code: 'volume.restored'; snapshot: string; volume: string; sizeGiB: number; availabilityZone: string }
  | { code: 'boot-loader.missing'; snapshot: string; reason: string }
  /** A filesystem of a new volume does not have all parameters that the archive records. */
  | {
      code: 'filesystem.simplified';
      snapshot: string;
      /** `null` in a dry run. */
      volume: string | null;
      /** `null` for a filesystem on the whole disk. */
      partition: number | null;
      /** The type of the filesystem. */
      filesystem: string;
      /** The options of the tool for the parameters that were left out. */
      omitted: string[];
      /** The options that were given instead. */
      added: string[];
      /** The error message of the tool for the exact form. */
      reason: string;
    }
  | {
      code: 'thaw.offered';
      snapshot: string;
      objects: number;
      bytes: number;
      storageClasses: string[];
      days: number;
      /** The selected tier. */
      tier: string;
      offers: ThawOffer[];
      /** The region whose prices these are: that of the bucket, if it is known. */
      priceRegion: string;
      /** `null` if they are list prices of AWS for the region of the bucket. */
      priceNote: string | null;
    }
  | {
      code: 'thaw.requested';
      snapshot: string;
      key: string;
      tier: string;
      days: number;
      state: 'requested' | 'ongoing' | 'restored';
    }
  | { code: 'thaw.waiting'; snapshot: string; objects: number; of: number }
  | { code: 'thaw.finished'; snapshot: string; objects: number; seconds: number }
  /** Content that an earlier run restored, and that was verified now; `files` is `null` for images. */
  | { code: 'restore.continued'; snapshot: string; key: string; files: number | null; bytes: number }
  | { code: 'restore.planned'; snapshot: string; plan: RestorePlan }
  /** All blocks of the new snapshot are written; the same command completes it. */
  | { code: 'restore.completing'; snapshot: string; id: string }
  | { code: 'restore.unfinished'; snapshot: string; path: string }
  | { code: 'files.left-out'; snapshot: string; key: string; devices: number; privileges: number }
  | {
      code: 'files.incomplete';
      snapshot: string;
      key: string;
      target: string;
      /** The first messages of tar about attributes that it could not restore. */
      messages: string[];
      /** Number of all such messages. */
      count: number;
      /** Number of files, directories and links whose times the target cannot store. */
      times: number;
    }
  | { code: 'partition.not-restored'; snapshot: string; partition: number | null; reason: string };
