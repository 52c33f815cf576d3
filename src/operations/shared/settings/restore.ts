/** What `restore` is told. */
import type { ThawSettings } from './thaw.ts';
import type { VolumeSettings } from './volume.ts';

/** What is given back, and where to. */
export interface RestoreSettings {
  thaw: ThawSettings;
  snapshotId: string;
  prefix: string;
  /** `null`: the whole disk. */
  partition: number | null;
  target: { kind: 'file'; path: string } | DeviceTarget | SnapshotTarget | FilesOrder | VolumeTarget;
  /** Only tells what would be done. */
  dryRun: boolean;
  /** Of a new snapshot or volume: also where the old one was not encrypted. */
  encrypt: boolean;
  /** Of a new snapshot or volume; `null`: the account's default key. */
  kmsKeyArn: string | null;
  /** Whether a file or what is on a device may be destroyed. */
  overwrite: boolean;
  /** Of gpg, instead of a private key. */
  sessionKey: string | null;
  /** Ranges on their way from S3 at once. */
  downloadStreams: number;
  /** Whether the index of a tar says where its files are, and what they hash to. */
  useIndex: boolean;
  /** Whether an archive without a manifest is read although it may be unfinished. */
  withoutManifest: boolean;
}

/** A block device. */
export interface DeviceTarget {
  kind: 'device';
  path: string;
  /** Asked before what is on it is destroyed. */
  consent: (device: DeviceNote) => Promise<boolean>;
}

export interface DeviceNote {
  path: string;
  bytes: number;
  /** What is known to be on it, e.g. `ext4`; else `null`. */
  holds: string | null;
}

export interface SnapshotTarget {
  kind: 'snapshot';
  /** Key of the tag that carries the state of snapshots, which the new one does not get. */
  tagKey: string;
}

/** A new volume, attached here while it is filled. */
export interface VolumeTarget extends Pick<VolumeSettings, 'mountPoint' | 'volumeType' | 'waitLimit'> {
  kind: 'volume';
  /** `null`: as large as the old one. */
  sizeGiB: number | null;
  /** Key of the tag that marks the volume as long as it is not complete. */
  tagKey: string;
}

/** Files below a directory. */
export interface FilesOrder {
  kind: 'directory';
  path: string;
  /** Only these and what is below them; `null` for everything. Without `.` and `..`. */
  paths: readonly string[] | null;
  /** Device nodes, set-user-ID and set-group-ID bits and file capabilities too. */
  isPrivileged: boolean;
}
