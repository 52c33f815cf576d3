/** Converts ranges of a plain stream to the stored pieces that contain them, and to the cuts that extract them. */
import type { Place } from '../../../archive/file-index.ts';
import type { Cut } from '../../../streams/tar/cut-stream.ts';

/** With more ranges than this, reading the whole object is faster. */
const MAX_RANGES = 500_000;

interface Range {
  from: number;
  to: number;
}

/** The caller passes first all ranges, then all pieces, both in ascending order. */
export class PieceCutter {
  readonly #ranges: Range[] = [];
  #isTooMany = false;
  #last: Place | null = null;
  readonly #extents: Range[] = [];
  readonly #cuts: Cut[] = [];
  /** The index of the first range that does not end before the current piece. */
  #next = 0;
  /** Positions in the decoded stream: the start of the current piece, and the end of the last cut. */
  #decoded = 0;
  #dealt = 0;

  range({ from, to }: Range): void {
    const last = this.#ranges.at(-1);
    if (last?.to === from) last.to = to;
    else if (this.#ranges.length < MAX_RANGES) this.#ranges.push({ from, to });
    else this.#isTooMany = true;
  }

  /** @param place the start of a piece, which is also the end of the piece before it. */
  piece(place: Place): void {
    const before = this.#last;
    this.#last = place;
    if (before) this.#take(before, place);
  }

  /** @returns `null` if the pieces do not contain all ranges. */
  finish(): { extents: Range[]; cuts: Cut[] } | null {
    const isCovered = this.#next === this.#ranges.length;
    return isCovered && !this.#isTooMany ? { extents: this.#extents, cuts: this.#cuts } : null;
  }

  #take(piece: Place, end: Place): void {
    const isWanted = (this.#ranges[this.#next]?.from ?? Number.POSITIVE_INFINITY) < end.plain;
    if (!isWanted) return;
    const last = this.#extents.at(-1);
    if (last?.to === piece.stored) last.to = end.stored;
    else this.#extents.push({ from: piece.stored, to: end.stored });
    for (let range = this.#ranges[this.#next]; range && range.from < end.plain; range = this.#ranges[this.#next]) {
      this.#cut(Math.max(range.from, piece.plain) - piece.plain, Math.min(range.to, end.plain) - piece.plain);
      if (range.to > end.plain) break;
      this.#next++;
    }
    this.#decoded += end.plain - piece.plain;
  }

  /** @param from start of the range in the piece, and `to` its end. */
  #cut(from: number, to: number): void {
    const start = this.#decoded + from;
    const last = this.#cuts.at(-1);
    if (last && start === this.#dealt) last.take += to - from;
    else this.#cuts.push({ skip: start - this.#dealt, take: to - from });
    this.#dealt = this.#decoded + to;
  }
}
