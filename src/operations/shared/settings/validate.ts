/** The settings of `validate`. */
import type { Selection } from './selection.ts';
import type { VolumeSettings } from './volume.ts';

export interface ValidateSettings extends VolumeSettings {
  selection: Selection;
  tagKey: string;
  prefix: string;
  /** Whether to compare only the names and contents of files. */
  contentOnly: boolean;
  /** Whether to compare the archive with its own manifest and index, without the snapshot. */
  archiveOnly: boolean;
  /** The gpg session key, which replaces the private key. */
  sessionKey: string | null;
  /** Byte ranges in flight. */
  downloadStreams: number;
  /** Whether to accept an archive without a manifest, which may be incomplete. */
  withoutManifest: boolean;
}
