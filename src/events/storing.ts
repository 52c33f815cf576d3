/** Events of an archive that is stored or validated: partitions, objects, indexes and the manifest. */
import type { DifferenceNote, PackCounts } from './records.ts';

export type StoringEvent =
  /** A new point was removed, because its parent is going to be removed. */
  | { code: 'point.withdrawn'; snapshot: string; reason: string }
  /** The blocks that an incremental archive stores were found. */
  | {
      code: 'point.planned';
      snapshot: string;
      /** How they were found: `base` stores all blocks, `changed-blocks` those that EBS reports, `hashes` those that differ. */
      how: 'base' | 'changed-blocks' | 'hashes';
      /** Why the point is a base, or why hashes were compared; `null` if EBS reported the changed blocks. */
      reason: string | null;
      /** The snapshot whose archive is continued; `null` for a base. */
      parent: string | null;
      blocks: number;
      /** Bytes of these blocks on the disk. */
      bytes: number;
    }
  | { code: 'partition.raw'; snapshot: string; partition: number | null; reason: string }
  /** Swap, which the manifest records, or a partition beyond the end of the disk, which only the partition table has. */
  | { code: 'partition.recorded'; snapshot: string; partition: number | null; reason: string }
  | { code: 'partition.obstacle'; snapshot: string; partition: number | null; reason: string; isCertain: boolean }
  | {
      code: 'partition.not-kept';
      snapshot: string;
      partition: number | null;
      what: string;
      /** Number of files; `null` for all files, or for the filesystem itself. */
      count: number | null;
      advice: string | null;
    }
  | {
      code: 'partition.mounted';
      snapshot: string;
      partition: number | null;
      filesystem: string;
      mountPoint: string;
      helper: string | null;
    }
  | { code: 'object.started'; snapshot: string; key: string; expectedBytes: number }
  | { code: 'object.stored'; snapshot: string; key: string; plainBytes: number; storedBytes: number; seconds: number }
  | { code: 'object.aborted'; snapshot: string; key: string }
  | { code: 'sockets.skipped'; snapshot: string; key: string; sockets: number }
  | { code: 'tags.dropped'; snapshot: string; dropped: string[]; reason: string }
  | {
      code: 'snapshot.validated';
      snapshot: string;
      compared: 'everything' | 'content' | 'archive-only';
      /** What was not compared: what a tar cannot hold, and the sealed description of the disk without the private key. */
      except: string[];
      objects: string[];
      members: number;
      files: number;
      bytes: number;
      /** Of an incremental archive; otherwise `null`. */
      packs: PackCounts | null;
      differenceCount: number;
      differences: DifferenceNote[];
      seconds: number;
    }
  | { code: 'archive.replaced'; snapshot: string; reason: string }
  | { code: 'object.kept'; snapshot: string; key: string; plainBytes: number; storedBytes: number }
  /** The object differed, possibly because of damage in transit, and is read again before the difference is reported. */
  | { code: 'object.reread'; snapshot: string; key: string }
  | { code: 'upload.resumed'; snapshot: string; key: string; parts: number; bytes: number }
  | { code: 'upload.restarted'; snapshot: string; key: string; reason: string }
  | { code: 'index.stored'; snapshot: string; key: string }
  | { code: 'index.left-out'; snapshot: string; key: string; reason: string }
  | { code: 'manifest.stored'; snapshot: string; key: string };
