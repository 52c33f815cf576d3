/** The settings of `drill`. */
import type { ArchiveFilter } from './archive-filter.ts';
import type { ThawSettings } from './thaw.ts';
import type { VolumeSettings } from './volume.ts';

export interface DrillSettings extends ArchiveFilter, VolumeSettings {
  /** Maximum number of archives. */
  sample: number;
  /** Seed of the random sample; the same seed selects the same archives. */
  seed: string;
  /** Directory below which archives are restored; `null` for the directory of temporary files. */
  scratch: string | null;
  /** `null` excludes archives that must be thawed first. */
  thaw: ThawSettings | null;
  /** Whether to compare also with the snapshot, if it still exists. */
  withSnapshot: boolean;
  /** The user who runs the drill, for the report. */
  user: string;
  tagKey: string;
  downloadStreams: number;
  /** Whether to include archives without a manifest, which may be incomplete. */
  withoutManifest: boolean;
}
