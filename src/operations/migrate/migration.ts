/** What the steps of a migration hand to each other. */
import type { ArchiveName } from '../../archive/key.ts';
import type { DeviceProof, ManifestObject, RecordedPartition } from '../../archive/manifest.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import type { NotKept } from '../../host/filesystems/not-kept-note.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import type { Disk } from '../source/read-disk.ts';
import type { Source } from '../source/snapshot-disk.ts';
import type { MigrationProgress } from './progress.ts';

/** What one migration works with, handed from step to step. */
export interface Migration {
  snapshot: Snapshot;
  settings: MigrateSettings;
  services: Services;
  signal: AbortSignal;
  startedAt: Date;
  claim: HeldClaim;
  progress: MigrationProgress;
  /** Partitions (`null`: the disk) that an earlier attempt found to need an image, and why. */
  asImages: ReadonlyMap<number | null, string>;
}

/**
 * A filesystem cannot be archived as files after all, and mounting it has replayed its journal: an image of it would not
 * be what is in the snapshot.
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

/** What is stored of a disk. */
export interface StoredDisk {
  readonly objects: readonly ManifestObject[];
  readonly recorded: readonly RecordedPartition[];
  /** Of the disk, by its partitions and what the manifest says of it. */
  readonly notKept: readonly NotKept[];
  /** Why its partition table cannot be made anew; `null`: it can. */
  readonly volumeObstacle: string | null;
}

/** An archive that lacks only its manifest. */
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
