/** Events of `expire`, and of the pins that protect archives from it. */
import type { SnapError } from '../errors.ts';

export type ExpiryEvent =
  | { code: 'expiry.planned'; snapshot: string; expiry: PlannedExpiry }
  | { code: 'expiry.marked'; snapshot: string; dueAt: string }
  | { code: 'expiry.unmarked'; snapshot: string }
  | { code: 'expiry.deferred'; snapshot: string; reason: string }
  | ({
      code: 'expiry.removed';
      snapshot: string;
      /** The points that still need packs of the archive. */
      neededBy: string[];
    } & FreedObjects)
  | { code: 'expiry.failed'; volume: string; error: SnapError }
  | {
      code: 'expire.finished';
      isDryRun: boolean;
      kept: number;
      /** Number of archives that no rule keeps. */
      expiring: number;
      notJudged: number;
      /** Number of volumes that could not be processed. */
      failed: number;
      /** What the removal of all archives that no rule keeps frees. */
      bytes: number;
      dollarsMonth: number | null;
      earlyDollars: number | null;
      priceNote: string | null;
    }
  | { code: 'pin.refused'; snapshot: string; reason: string };

/** Objects that are removed. */
export interface FreedObjects {
  objects: number;
  bytes: number;
  /** Their monthly cost in US dollars at list prices; `null` if it is not known. */
  dollarsMonth: number | null;
  /** The charge for the rest of their minimum storage durations in US dollars; `null` if it is not known. */
  earlyDollars: number | null;
}

/** What becomes of an archive. */
export interface PlannedExpiry {
  snapshot: string;
  volume: string;
  /** Start time of the snapshot; ISO 8601. */
  startTime: string;
  decision: 'keep' | 'expire' | 'expired' | 'not-judged';
  /** The rules that keep it, or why the rules do not apply to it. */
  reasons: string[];
  /** When it was marked; `null` if it is not. */
  markedAt: string | null;
  /** When it may be removed; `null` if it is not marked, or is kept. */
  dueAt: string | null;
  /** Until when Object Lock protects it according to its manifest, if that is in the future; otherwise `null`. */
  lockedUntil: string | null;
  /** The points that stay and need packs of this archive, which are therefore not removed. */
  neededBy: string[];
  frees: FreedObjects;
}
