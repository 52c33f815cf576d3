/** How objects in archive classes are thawed. */
import type { ThawOrder } from '../../../cloud/ports.ts';

/** Of objects in archive classes, what may be asked for. */
export interface ThawSettings {
  tier: ThawOrder['tier'];
  /** That the copies stay. */
  days: number;
  /** Asked once it is told what it takes and costs; `null`: nobody can say yes. */
  consent: (() => Promise<boolean>) | null;
  /** Whether to wait until they can be read. */
  wait: boolean;
  /** The command that goes on later, to be shown. */
  again: string;
}
