/** What `migrate` is told. */
import type { Encryption } from '../../../archive/cipher.ts';
import type { Codec } from '../../../archive/codec.ts';
import type { Layout } from '../../../archive/key.ts';
import type { Selection } from './selection.ts';
import type { VolumeSettings } from './volume.ts';

export interface MigrateSettings extends VolumeSettings {
  selection: Selection;
  /** Key of the tag that carries a snapshot's state, and marks temporary volumes. */
  tagKey: string;
  /** Empty, or ending in `/`. */
  prefix: string;
  layout: Layout;
  codec: Codec;
  encryption: Encryption | null;
  /** Partitions of one disk that are archived at once. */
  concurrentPartitions: number;
  storageClass: string;
  /** Parts on their way to S3 at once. */
  uploadStreams: number;
  /** Whether a filesystem that cannot be archived as files fails, instead of becoming an image. */
  strict: boolean;
  /** Whether the archive is validated before it is called complete. */
  validate: boolean;
  /** Whether an archive that is complete with the same settings is stored again. */
  replace: boolean;
  dryRun: boolean;
}
