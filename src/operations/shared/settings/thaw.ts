/** The settings for objects in archive classes. */
import type { ThawOrder } from '../../../cloud/ports.ts';

/** Default number of days for which thawed objects stay readable. Three days span a weekend. */
export const THAW_DAYS = 3;

export interface ThawSettings {
  tier: ThawOrder['tier'];
  /** Days for which the thawed objects stay readable. */
  days: number;
  /** Called after the event `thaw.offered` with the price. @returns whether to thaw. `null` never thaws. */
  consent: (() => Promise<boolean>) | null;
  /** Whether to wait until the objects are readable; otherwise the run ends with `THAWING`. */
  wait: boolean;
  /** The command that resumes the work later, for messages. */
  resumeCommand: string;
}
