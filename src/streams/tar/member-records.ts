/** Stores what an index has about members as records in a file, one per member, in the order of the tar. */
import { hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { encodeIndexed, type IndexedMember, indexed } from '../../archive/file-index.ts';
import type { TarMember } from '../../archive/tar/tar-member.ts';
import { writeWhole } from '../../lib/bytes/write-whole.ts';

const HASH_BYTES = 32;

/** The hash of the headers, the hash of the data, and the lengths of the name and the alias that follow. */
const FIXED_BYTES = 2 * HASH_BYTES + 8;

const CHUNK_BYTES = 256 * 1024;

/** Hashes the headers of a member, without its data and its position. */
const headerHash = (member: IndexedMember): Buffer =>
  hash(
    'sha256',
    encodeIndexed({ ...member, data: member.data && { ...member.data, sha256: '' }, span: { from: 0, to: 0 } }),
    'buffer',
  );

export class MemberRecordsWriter implements Disposable {
  readonly #descriptor: number;
  #records: Buffer[] = [];
  #length = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'w', 0o600);
  }

  /**
   * @param alias the name under which a file that was not selected is restored: that of the file, or of the file that a
   * hard link refers to. It is in Latin-1; `null` if the file has its own name.
   */
  add(member: IndexedMember, alias: string | null = null): void {
    const { path, data } = member;
    const other = Buffer.from(alias ?? '', 'latin1');
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(path.length);
    lengths.writeUInt32LE(other.length, 4);
    const record = [headerHash(member), data ? Buffer.from(data.sha256, 'hex') : NO_DATA, lengths, path, other];
    this.#records.push(...record);
    this.#length += FIXED_BYTES + path.length + other.length;
    if (this.#length >= CHUNK_BYTES) this.finish();
  }

  finish(): void {
    writeWhole(this.#descriptor, Buffer.concat(this.#records));
    this.#records = [];
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

const NO_DATA = Buffer.alloc(HASH_BYTES);

export class MemberRecord {
  /** The name as in the index. */
  readonly path: Buffer;
  /** The alias as `MemberRecordsWriter.add` takes it. */
  readonly alias: string | null;
  readonly #headers: Buffer;
  readonly #data: Buffer;

  constructor(headers: Buffer, data: Buffer, path: Buffer, alias: Buffer) {
    this.#headers = headers;
    this.#data = data;
    this.path = path;
    this.alias = alias.length === 0 ? null : alias.toString('latin1');
  }

  /** Whether the member has exactly these headers. Old indexes do not have the positions of data in sparse files. */
  hasHeadersOf(member: TarMember): boolean {
    const found = indexed(member, member.type === 'file' ? '' : null, { from: 0, to: 0 });
    if (this.#headers.equals(headerHash(found))) return true;
    return found.data?.mapSha256 != null && this.#headers.equals(headerHash(withoutMap(found, found.data)));
  }

  /** @param sha256 in hexadecimal; `null` if the member has no data. */
  hasData(sha256: string | null): boolean {
    return this.#data.equals(sha256 === null ? NO_DATA : Buffer.from(sha256, 'hex'));
  }
}

const withoutMap = (member: IndexedMember, data: NonNullable<IndexedMember['data']>): IndexedMember => ({
  ...member,
  data: { ...data, mapSha256: null },
});

export class MemberRecordsReader implements Disposable {
  readonly #descriptor: number;
  /** Bytes that have been read from the file but not used yet. */
  #rest: Buffer = Buffer.alloc(0);
  #current: MemberRecord | null = null;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'r');
  }

  /** Returns the record of the next member; `null` after the last one. */
  next(): MemberRecord | null {
    this.#current = this.#read();
    return this.#current;
  }

  /** Records that the current member has been read to its end. */
  finishMember(): void {
    this.#current = null;
  }

  /** Path of the member that is being read or comes next; `null` after the last one. */
  get pathInTurn(): Buffer | null {
    return (this.#current ?? this.next())?.path ?? null;
  }

  #read(): MemberRecord | null {
    const fixed = this.#take(FIXED_BYTES);
    if (fixed.length < FIXED_BYTES) return null;
    const path = this.#take(fixed.readUInt32LE(2 * HASH_BYTES));
    const alias = this.#take(fixed.readUInt32LE(2 * HASH_BYTES + 4));
    return new MemberRecord(fixed.subarray(0, HASH_BYTES), fixed.subarray(HASH_BYTES, 2 * HASH_BYTES), path, alias);
  }

  #take(length: number): Buffer {
    while (this.#rest.length < length) {
      const more = Buffer.alloc(CHUNK_BYTES);
      const count = readSync(this.#descriptor, more);
      if (count === 0) break;
      this.#rest = Buffer.concat([this.#rest, more.subarray(0, count)]);
    }
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
