import type { FoundArchive } from '../reading/bucket/scan-bucket.ts';

/** An archive that a sample can select. */
export interface Candidate {
  /** A hash of the seed and the snapshot id. */
  rank: string;
  found: FoundArchive;
}

/**
 * Keeps the candidates with the lowest ranks, in order. If they include points of a lineage, the newest point of the
 * lineage is the first of these: it replaces one of them if its own rank is too high.
 */
export class LowestRanks {
  /** Number of all candidates that were added. */
  count = 0;
  readonly #limit: number;
  readonly #lowest: (Candidate & { lineage: string | null })[] = [];
  readonly #newest = new Map<string, FoundArchive>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param lineage the name of the lineage; `null` for an archive that is not a point. */
  add({ rank, found }: Candidate, lineage: string | null): void {
    this.count++;
    const place = this.#lowest.findIndex((other) => rank < other.rank);
    this.#lowest.splice(place < 0 ? this.#lowest.length : place, 0, { rank, found, lineage });
    this.#lowest.length = Math.min(this.#lowest.length, this.#limit);
    const before = lineage === null ? null : this.#newest.get(lineage);
    if (lineage !== null && !(before && before.startTime > found.startTime)) this.#newest.set(lineage, found);
  }

  get lowest(): Candidate[] {
    const waiting = new Map<string, FoundArchive[]>();
    for (const { lineage, found } of this.#lowest) {
      const newest = lineage === null ? undefined : this.#newest.get(lineage);
      if (lineage === null || !newest) continue;
      const line = waiting.get(lineage) ?? [newest];
      waiting.set(lineage, found.id === newest.id ? line : [...line, found]);
    }
    return this.#lowest.map(({ rank, lineage, found }) => ({
      rank,
      found: (lineage === null ? undefined : waiting.get(lineage)?.shift()) ?? found,
    }));
  }
}
