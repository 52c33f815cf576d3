/** What `drill` is told. */
import type { ArchiveFilter } from './archive-filter.ts';
import type { ThawSettings } from './thaw.ts';
import type { VolumeSettings } from './volume.ts';

/** Archives that are restored to see whether they can be. */
export interface DrillSettings extends ArchiveFilter, VolumeSettings {
  /** How many at the most. */
  sample: number;
  /** Decides which: the same one chooses the same archives. */
  seed: string;
  /** A directory; what is restored lies below it for a while. `null`: where temporary files are. */
  scratch: string | null;
  /** `null`: archives that would have to be thawed are left out. */
  thaw: ThawSettings | null;
  /** Whether snapshots that still exist are compared as well, and their tag. */
  withSnapshot: boolean;
  /** Who runs it, for the report. */
  user: string;
  tagKey: string;
  downloadStreams: number;
  /** Whether archives without a manifest are drilled although they may be unfinished. */
  withoutManifest: boolean;
}
