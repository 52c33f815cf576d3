/** Whether the lines of an index of files follow one another as they must: what relies on it need not look again. */
import type { SnapError } from '../errors.ts';
import { damagedIndex, type FileIndexEnd, type FileIndexHeader, type IndexLine, type Place } from './file-index.ts';

/** What is known of the object that it is the index of. */
export interface IndexedTar extends FileIndexHeader {
  /** Length of the plain stream; `null` where nothing tells it. */
  plainBytes: number | null;
}

/**
 * First a header, which fits the object, then all members, which fill the stream without gaps, then pieces in the order of
 * the object, and last how much that was.
 */
export class IndexOrder {
  readonly #key: string;
  readonly #tar: IndexedTar;
  #last: IndexLine['is'] | null = null;
  #members = 0;
  /** Where the last member ends in the plain stream. */
  #filled = 0;
  #place: Place | null = null;

  constructor(key: string, tar: IndexedTar) {
    this.#key = key;
    this.#tar = tar;
  }

  /** @throws SnapError `MANIFEST` */
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

  /** @throws SnapError `MANIFEST` */
  finish(): void {
    if (this.#last !== 'end') throw this.#damaged('it is cut short');
  }

  #checkHeader({ snapshot, partition }: FileIndexHeader): void {
    if (snapshot !== this.#tar.snapshot || partition !== this.#tar.partition)
      throw this.#damaged('it is the index of something else');
  }

  #takeSpan({ from, to }: { from: number; to: number }): void {
    if (from !== this.#filled) throw this.#damaged('its members leave gaps');
    this.#filled = to;
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
    if (members !== this.#members) throw this.#damaged(`it has ${this.#members} members of ${members}`);
    if (this.#filled > bytes || (plainBytes !== null && bytes !== plainBytes))
      throw this.#damaged(`it is of a tar of ${bytes} bytes, which the object is not`);
  }

  #damaged = (why: string): SnapError => damagedIndex(this.#key, why);
}
