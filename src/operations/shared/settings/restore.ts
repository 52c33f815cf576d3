/** The settings of `restore`. */
import type { ThawSettings } from './thaw.ts';
import type { VolumeSettings } from './volume.ts';

export interface RestoreSettings {
  thaw: ThawSettings;
  snapshotId: string;
  prefix: string;
  /** `null`: the whole disk. */
  partition: number | null;
  target: { kind: 'file'; path: string } | DeviceTarget | SnapshotTarget | FilesOrder | VolumeTarget;
  /** Whether only to show what would be restored. */
  dryRun: boolean;
  /** Whether to encrypt the new snapshot or volume even if the original was not encrypted. */
  encrypt: boolean;
  /** KMS key of the new snapshot or volume; `null` for the default key of the account. */
  kmsKeyArn: string | null;
  /** Whether an existing file, or the content of a device, may be overwritten. */
  overwrite: boolean;
  /** The gpg session key, which replaces the private key. */
  sessionKey: string | null;
  /** Byte ranges in flight. */
  downloadStreams: number;
  /** Whether to use the index of a tar to locate and verify its files. */
  useIndex: boolean;
  /** Whether to accept an archive without a manifest, which may be incomplete. */
  withoutManifest: boolean;
}

/** An existing block device, to which an image is written. */
export interface DeviceTarget {
  kind: 'device';
  path: string;
  /** Called before the content of the device is destroyed. @returns whether to continue. */
  consent: (device: DeviceNote) => Promise<boolean>;
}

export interface DeviceNote {
  path: string;
  bytes: number;
  /** The detected content, e.g. `ext4`; `null` if none was detected. */
  holds: string | null;
}

/** A new EBS snapshot. */
export interface SnapshotTarget {
  kind: 'snapshot';
  /** Key of the tag that records the state of snapshots. It is not copied to the new snapshot. */
  tagKey: string;
}

/** A new EBS volume, which is attached to this instance while it is written. */
export interface VolumeTarget extends Pick<VolumeSettings, 'mountPoint' | 'volumeType' | 'waitLimit'> {
  kind: 'volume';
  /** `null` for the size of the original volume. */
  sizeGiB: number | null;
  /** Key of the tag that marks the volume until it is complete. */
  tagKey: string;
}

/** A directory, to which files are restored. */
export interface FilesOrder {
  kind: 'directory';
  path: string;
  /** Only these files and directories, without `.` and `..`; `null` for all. */
  paths: readonly string[] | null;
  /** Whether to restore also device nodes, set-user-ID and set-group-ID bits, and file capabilities. */
  isPrivileged: boolean;
}
