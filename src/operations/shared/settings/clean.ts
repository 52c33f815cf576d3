/** What `clean` is told. */
import type { VolumeSettings } from './volume.ts';

/** What `clean` looks for, and whether it removes it. */
export interface CleanSettings extends Pick<VolumeSettings, 'mountPoint' | 'waitLimit' | 'claimLife'> {
  tagKey: string;
  prefix: string;
  /** Seconds: what is younger is left to runs that go on where another broke off. */
  olderThan: number;
  /** `false`: only shows what is there. */
  remove: boolean;
}
