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
  /** Whether the bucket is in another store than S3 of AWS, whose conditional requests are tried. */
  isOtherStore: boolean;
}
