/** An NTFS volume, read off its device: its master file table, and what little of its system files is needed. */
import type { FileHandle } from 'node:fs/promises';
import { MiB } from '../../../lib/units.ts';
import { openVolume } from '../open-volume.ts';
import { sectorsPerCluster } from '../superblocks/boot-sectors.ts';
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage, type Run, readRecord, referenceAt } from './records.ts';

/** Numbers of records that have a meaning. Windows leaves 16 to 23 free, but drivers show files there. */
export const RECORD = { mft: 0, logFile: 2, volume: 3, root: 5, firstOfUsers: 16 } as const;

/** Deeper than any path that Windows takes. */
const DEEPEST = 1024;

const DOS_NAME = 2;

export class NtfsVolume implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #clusterBytes: number;
  readonly #recordBytes: number;
  #mft: Run[] = [];
  #mftBytes = 0;

  private constructor(file: FileHandle, boot: Buffer) {
    this.#file = file;
    const sectorBytes = boot.readUInt16LE(11);
    this.#clusterBytes = sectorBytes * sectorsPerCluster(boot);
    this.#recordBytes = sizeOf(boot.readInt8(64), this.#clusterBytes);
    const isPossible = (bytes: number, most: number) => Number.isInteger(bytes) && bytes >= 512 && bytes <= most;
    if (boot.toString('latin1', 3, 7) !== 'NTFS' || !isPossible(this.#clusterBytes, 2 * MiB))
      throw new NtfsDamage('its boot sector is none of NTFS');
    if (!isPossible(this.#recordBytes, 64 * 1024)) throw new NtfsDamage('its boot sector names impossible records');
  }

  /** @throws NtfsDamage, RangeError */
  static open(device: string): Promise<NtfsVolume> {
    return openVolume(device, async (file, boot) => {
      const volume = new NtfsVolume(file, boot);
      await volume.#findMft(Number(boot.readBigUInt64LE(48)));
      return volume;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** All records in use, in order, with their numbers. */
  async *records(signal: AbortSignal): AsyncGenerator<{ number: number; record: MftRecord }> {
    const most = Math.floor(MiB / this.#recordBytes) * this.#recordBytes;
    for (let at = 0; at < this.#mftBytes; at += most) {
      signal.throwIfAborted();
      const bytes = await this.#read(this.#mft, at, Math.min(most, this.#mftBytes - at));
      for (let inside = 0; inside + this.#recordBytes <= bytes.length; inside += this.#recordBytes) {
        const number = (at + inside) / this.#recordBytes;
        const record = readRecord(bytes.subarray(inside, inside + this.#recordBytes), number);
        if (record) yield { number, record };
      }
    }
  }

  /** @returns `null` for one that is not in use. */
  async record(number: number): Promise<MftRecord | null> {
    return readRecord(await this.#read(this.#mft, number * this.#recordBytes, this.#recordBytes), number);
  }

  /** The filesystem's own files, and what it keeps in its directory $Extend. */
  async isOfSystem(number: number): Promise<boolean> {
    for await (const { at } of this.ancestry(number)) if (at < RECORD.firstOfUsers) return true;
    return false;
  }

  /** A file, the directory that it is in, and so on, without the root. */
  async *ancestry(number: number): AsyncGenerator<{ at: number; name: string }> {
    let at = number;
    for (let depth = 0; depth < DEEPEST && at !== RECORD.root; depth++) {
      const { name, parent } = await this.#nameOf(at);
      yield { at, name };
      at = parent;
    }
  }

  /** Files have a long name and often a short one; with many attributes, names can lie in records of their own. */
  async #nameOf(number: number): Promise<{ name: string; parent: number }> {
    const record = await this.record(number);
    const names = (record?.attributes ?? []).flatMap(({ type, value }) =>
      type === ATTRIBUTE.fileName && value ? [value] : [],
    );
    const value = names.find((found) => found.readUInt8(65) !== DOS_NAME) ?? names[0];
    // Unknown: what it is called is told less well, and it counts as a user's file.
    if (!value) return { name: `(record ${number})`, parent: RECORD.root };
    return { name: value.toString('utf16le', 66, 66 + 2 * value.readUInt8(64)), parent: value.readUIntLE(0, 6) };
  }

  /** The beginning of an attribute, of which there may be less. */
  async beginningOf({ value, runs }: Attribute, bytes: number): Promise<Buffer> {
    return value?.subarray(0, bytes) ?? (await this.#read(runs, 0, bytes));
  }

  /** The table is a file, described by its own first record, and by more of them where it is in many pieces. */
  async #findMft(firstCluster: number): Promise<void> {
    this.#mft = [{ at: firstCluster, clusters: Math.ceil(this.#recordBytes / this.#clusterBytes) }];
    const first = await this.record(RECORD.mft);
    const data = first?.attributes.find(isContent);
    if (!first || !data) throw new NtfsDamage('its master file table does not describe itself');
    this.#mft = data.runs;
    this.#mftBytes = data.writtenBytes;
    const list = first.attributes.find(({ type }) => type === ATTRIBUTE.list);
    if (list) await this.#findRest(list);
  }

  async #findRest(list: Attribute): Promise<void> {
    const clusters = list.runs.reduce((sum, run) => sum + run.clusters, 0);
    const entries = await this.beginningOf(list, Math.min(clusters * this.#clusterBytes || Infinity, MAX_LIST));
    for (const number of recordsOfContent(entries)) {
      if (number === RECORD.mft) continue;
      const piece = (await this.record(number))?.attributes.find(isContent);
      if (!piece) throw new NtfsDamage('a piece of its master file table is missing');
      this.#mft = [...this.#mft, ...piece.runs];
    }
  }

  /** @throws NtfsDamage where the runs end before. */
  async #read(runs: readonly Run[], from: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    let [start, done] = [0, 0];
    for (const { at, clusters } of runs) {
      const end = start + clusters * this.#clusterBytes;
      const inside = from + done - start;
      if (from + done < end && done < length) {
        const count = Math.min(length - done, end - from - done);
        if (at !== null) await this.#readAt(bytes, done, count, at * this.#clusterBytes + inside);
        done += count;
      }
      start = end;
    }
    if (done < length) throw new NtfsDamage('one of its files ends too early');
    return bytes;
  }

  async #readAt(into: Buffer, offset: number, count: number, position: number): Promise<void> {
    for (let done = 0; done < count; ) {
      const { bytesRead } = await this.#file.read(into, offset + done, count - done, position + done);
      if (bytesRead === 0) throw new NtfsDamage('one of its files lies beyond the end of the device');
      done += bytesRead;
    }
  }
}

/** Sizes of records are numbers of units, or as a negative number the exponent of a number of bytes. */
const sizeOf = (value: number, unit: number): number => (value > 0 ? value * unit : 2 ** -value);

/** What a file contains, as opposed to its named streams. */
export const isContent = ({ type, name }: Attribute): boolean => type === ATTRIBUTE.data && name === '';

/** Windows makes lists of attributes of 256 KiB at the most. */
const MAX_LIST = 256 * 1024;

/** Of a list of attributes: the records with pieces of the content, in order. */
function recordsOfContent(list: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + 26 <= list.length; ) {
    const length = list.readUInt16LE(at + 4);
    if (length < 26) break;
    if (list.readUInt32LE(at) === ATTRIBUTE.data && list.readUInt8(at + 6) === 0)
      found.push(referenceAt(list, at + 16));
    at += length;
  }
  return found;
}
