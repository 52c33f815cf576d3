/** The settings of `clean`. */
import type { VolumeSettings } from './volume.ts';

export interface CleanSettings extends Pick<VolumeSettings, 'mountPoint' | 'waitLimit' | 'claimLife'> {
  tagKey: string;
  prefix: string;
  /** Minimum age in seconds. Younger leftovers are kept for runs that resume the interrupted work. */
  olderThan: number;
  /** Whether to remove the leftovers; otherwise they are only reported. */
  remove: boolean;
}
