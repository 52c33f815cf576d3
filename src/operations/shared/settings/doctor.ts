/** What `doctor` is told. */
import type { Codec } from '../../../archive/codec.ts';
import type { SourceChoice } from './volume.ts';

/** A night run as it would be, for `doctor` to look at beforehand. */
export interface DoctorSettings {
  tagKey: string;
  prefix: string;
  codec: Codec['name'];
  recipients: readonly string[];
  source: SourceChoice;
  volumeType: string;
  mountPoint: string;
}
