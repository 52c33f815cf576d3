/**
 * Files that were not selected, each with the first selected hard link to it: the file is restored under the name of the
 * link. In a directory of rsnapshot or BackupPC, these can be millions, so the names are kept in a file.
 */
import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { HashedTable } from '../../lib/bytes/hashed-table.ts';
import { writeWhole } from '../../lib/bytes/write-whole.ts';

const CHUNK_BYTES = 256 * 1024;

/** Words of a place in the file: its lower and upper half, and the length of the name. */
const WORDS = 3;
const HALF = 2 ** 32;

/** Names are bytes in Latin-1. First all are added, then all are looked up. */
export class AliasFile implements Disposable {
  readonly #descriptor: number;
  readonly #places = new HashedTable(WORDS);
  #names: Buffer[] = [];
  #written = 0;
  #end = 0;

  /** @param file a path that does not exist, and does not exist afterwards. */
  constructor(file: string) {
    this.#descriptor = openSync(file, 'wx+', 0o600);
    rmSync(file);
  }

  add(file: string, link: string): void {
    if (this.has(file)) return;
    const name = Buffer.from(link, 'latin1');
    this.#places.add(file, [this.#end % HALF, Math.floor(this.#end / HALF), name.length]);
    this.#names.push(name);
    this.#end += name.length;
    if (this.#end - this.#written >= CHUNK_BYTES) this.#flush();
  }

  has(file: string): boolean {
    return this.#placeOf(file) !== null;
  }

  /** @returns the first link that was added for a file; `null` if there is none. */
  of(file: string): string | null {
    const found = this.#placeOf(file);
    if (!found) return null;
    this.#flush();
    const [low = 0, high = 0, length = 0] = found;
    const name = Buffer.alloc(length);
    readSync(this.#descriptor, name, 0, length, high * HALF + low);
    return name.toString('latin1');
  }

  /** Most restores have no aliases, and need not hash every name. */
  #placeOf(file: string): Uint32Array | null {
    return this.#end === 0 ? null : this.#places.get(file);
  }

  #flush(): void {
    if (this.#names.length === 0) return;
    writeWhole(this.#descriptor, Buffer.concat(this.#names));
    this.#names = [];
    this.#written = this.#end;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
