/** The types that the steps of a migration share. */
import type { ArchiveName } from '../../archive/key.ts';
import type { DeviceProof, ManifestObject, RecordedPartition } from '../../archive/manifest.ts';
import type { ObjectLock } from '../../cloud/object-lock.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import type { NotKept } from '../../host/filesystems/not-kept-note.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import type { Disk } from '../source/read-disk.ts';
import type { Source } from '../source/snapshot-disk.ts';
import type { MigrationJournal } from './journal.ts';
import type { LockTerms } from './locks.ts';

/** The context of one migration. */
export interface Migration {
  snapshot: Snapshot;
  settings: MigrateSettings;
  services: Services;
  signal: AbortSignal;
  startedAt: Date;
  claim: HeldClaim;
  journal: MigrationJournal;
  /** `null` if no lock was asked for. */
  lockTerms: LockTerms | null;
  /** The lock of the objects that this run stores. */
  lock: ObjectLock | null;
  /** Why partitions (`null`: the disk) must be stored as raw images, according to an earlier attempt. */
  asImages: ReadonlyMap<number | null, string>;
}

/**
 * A filesystem turned out not to be archivable as files after mounting it had replayed its journal. Its image must be read
 * from a fresh disk, because this one no longer matches the snapshot.
 */
export class FreshDiskNeeded extends Error {
  readonly partition: number | null;
  readonly reason: string;

  constructor(partition: number | null, reason: string) {
    super(reason);
    this.partition = partition;
    this.reason = reason;
  }
}

/** The stored content of a disk. */
export interface StoredDisk {
  readonly objects: readonly ManifestObject[];
  readonly recorded: readonly RecordedPartition[];
  /** Data that neither the partitions nor the manifest keep. */
  readonly notKept: readonly NotKept[];
  /** Why the partition table cannot be recreated; `null` if no reason is known. */
  readonly volumeObstacle: string | null;
}

/** The facts for the manifest of an archive whose objects are all stored. */
export interface ArchiveDraft extends StoredDisk {
  readonly disk: Disk;
  readonly source: Source;
  readonly proof: DeviceProof | null;
  readonly validatedAt: string | null;
}

export const archiveName = ({ snapshot, settings }: Migration): ArchiveName => ({
  prefix: settings.prefix,
  volumeId: snapshot.volumeId,
  startTime: snapshot.startTime,
  snapshotId: snapshot.id,
});
