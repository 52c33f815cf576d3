/** The settings of `doctor`. */
import type { Codec } from '../../../archive/codec.ts';
import type { SourceChoice } from './volume.ts';

/** The settings of the planned migration that `doctor` checks. */
export interface DoctorSettings {
  tagKey: string;
  prefix: string;
  codec: Codec['name'];
  recipients: readonly string[];
  source: SourceChoice;
  volumeType: string;
  mountPoint: string;
}
