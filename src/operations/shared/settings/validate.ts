/** What `validate` is told. */
import type { Selection } from './selection.ts';
import type { VolumeSettings } from './volume.ts';

export interface ValidateSettings extends VolumeSettings {
  selection: Selection;
  tagKey: string;
  prefix: string;
  /** Only what regular files contain. */
  contentOnly: boolean;
  /** Against the archive's own manifest, without the snapshot. */
  archiveOnly: boolean;
  /** Of gpg, instead of a private key. */
  sessionKey: string | null;
  /** Ranges on their way from S3 at once. */
  downloadStreams: number;
  /** Whether an archive without a manifest is read although it may be unfinished. */
  withoutManifest: boolean;
}
