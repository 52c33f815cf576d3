/** Checks the order of the lines of a file index, so that its readers can rely on it. */
import type { SnapError } from '../errors.ts';
import { damagedIndex, type FileIndexEnd, type FileIndexHeader, type IndexLine, type Place } from './file-index.ts';

/** The object that the index must belong to. */
export interface IndexedTar extends FileIndexHeader {
  /** Length of the plain stream; `null` if unknown. */
  plainBytes: number | null;
}

/**
 * The order is: a header that fits the object, all members, which fill the stream without gaps, all pieces in ascending
 * order, and the totals.
 */
export class IndexOrder {
  readonly #key: string;
  readonly #tar: IndexedTar;
  #last: IndexLine['is'] | null = null;
  #members = 0;
  /** Where the last member ends in the plain stream. */
  #end = 0;
  #place: Place | null = null;

  constructor(key: string, tar: IndexedTar) {
    this.#key = key;
    this.#tar = tar;
  }

  /** @throws SnapError `DIFFERS` if the line must not follow the previous ones. */
  take(line: IndexLine): void {
    const before = this.#last;
    this.#last = line.is;
    const isInPlace = line.is === 'header' ? before === null : before !== null && before !== 'end';
    if (!isInPlace || (line.is === 'member' && before === 'piece')) throw this.#damaged('its lines are out of order');
    if (line.is === 'header') this.#checkHeader(line.header);
    if (line.is === 'member') this.#takeSpan(line.member.span);
    if (line.is === 'piece') this.#takePlace(line.place);
    if (line.is === 'end') this.#checkEnd(line.end);
  }

  /** @throws SnapError `DIFFERS` if the last line is missing. */
  finish(): void {
    if (this.#last !== 'end') throw this.#damaged('it is truncated');
  }

  #checkHeader({ snapshot, partition }: FileIndexHeader): void {
    if (snapshot !== this.#tar.snapshot || partition !== this.#tar.partition)
      throw this.#damaged('it belongs to another object');
  }

  #takeSpan({ from, to }: { from: number; to: number }): void {
    if (from !== this.#end) throw this.#damaged('its members leave gaps');
    this.#end = to;
    this.#members++;
  }

  #takePlace(place: Place): void {
    const before = this.#place;
    const isFurther = before ? place.plain > before.plain && place.stored > before.stored : place.plain === 0;
    if (!isFurther) throw this.#damaged('its pieces are out of order');
    this.#place = place;
  }

  #checkEnd({ members, bytes }: FileIndexEnd): void {
    const { plainBytes } = this.#tar;
    if (members !== this.#members) throw this.#damaged(`it has ${this.#members} of ${members} members`);
    if (this.#end > bytes || (plainBytes !== null && bytes !== plainBytes))
      throw this.#damaged(`it describes a tar of ${bytes} bytes, which does not match the object`);
  }

  #damaged = (why: string): SnapError => damagedIndex(this.#key, why);
}
