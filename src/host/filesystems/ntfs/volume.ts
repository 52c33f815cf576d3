/** Reads the master file table and some system files of an NTFS volume directly from its device. */
import type { FileHandle } from 'node:fs/promises';
import { MiB } from '../../../lib/units.ts';
import { deviceOrImageSize } from '../../devices/block-devices.ts';
import { openVolume } from '../open-volume.ts';
import { sectorsPerCluster } from '../superblocks/boot-sectors.ts';
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage, type Run, readRecord, referenceAt } from './records.ts';

/** Numbers of records with a fixed meaning. Windows leaves 16 to 23 free, but drivers show files there. */
export const RECORD = { mft: 0, logFile: 2, volume: 3, root: 5, firstOfUsers: 16 } as const;

/** Deeper than any path in Windows. */
const MAX_DEPTH = 1024;

const DOS_NAME = 2;

export class NtfsVolume implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #clusterBytes: number;
  readonly #recordBytes: number;
  readonly #deviceBytes: number;
  #mft: Run[] = [];
  #mftBytes = 0;
  /** Bytes that the runs of the table can hold. */
  #mftCapacity = 0;

  private constructor(file: FileHandle, boot: Buffer, deviceBytes: number) {
    this.#file = file;
    this.#deviceBytes = deviceBytes;
    const sectorBytes = boot.readUInt16LE(11);
    this.#clusterBytes = sectorBytes * sectorsPerCluster(boot);
    this.#recordBytes = sizeOf(boot.readInt8(64), this.#clusterBytes);
    const isValidSize = (bytes: number, maximum: number) => Number.isInteger(bytes) && bytes >= 512 && bytes <= maximum;
    if (boot.toString('latin1', 3, 7) !== 'NTFS' || !isValidSize(this.#clusterBytes, 2 * MiB))
      throw new NtfsDamage('it has no NTFS boot sector');
    if (!isValidSize(this.#recordBytes, 64 * 1024)) throw new NtfsDamage('its boot sector has an invalid record size');
  }

  /** @throws NtfsDamage or RangeError. */
  static open(device: string): Promise<NtfsVolume> {
    return openVolume(device, async (file, boot) => {
      const volume = new NtfsVolume(file, boot, deviceOrImageSize(device));
      await volume.#findMft(Number(boot.readBigUInt64LE(48)));
      return volume;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** Yields all records in use with their numbers, in order. */
  async *records(signal: AbortSignal): AsyncGenerator<{ number: number; record: MftRecord }> {
    const chunkBytes = Math.floor(MiB / this.#recordBytes) * this.#recordBytes;
    for (let at = 0; at < this.#mftBytes; at += chunkBytes) {
      const bytes = await this.#read(this.#mft, at, Math.min(chunkBytes, this.#mftBytes - at));
      for (let inside = 0; inside + this.#recordBytes <= bytes.length; inside += this.#recordBytes) {
        signal.throwIfAborted();
        const number = (at + inside) / this.#recordBytes;
        const record = readRecord(bytes.subarray(inside, inside + this.#recordBytes), number);
        if (record) yield { number, record };
      }
    }
  }

  /** @returns `null` if the record is not in use. */
  async record(number: number): Promise<MftRecord | null> {
    return readRecord(await this.#read(this.#mft, number * this.#recordBytes, this.#recordBytes), number);
  }

  /** Whether the record is a system file or is in the directory $Extend. */
  async isOfSystem(number: number): Promise<boolean> {
    for await (const { at } of this.ancestry(number)) if (at < RECORD.firstOfUsers) return true;
    return false;
  }

  /** Yields a file, the directory that contains it, and so on up to but not including the root. */
  async *ancestry(number: number): AsyncGenerator<{ at: number; name: string }> {
    let at = number;
    for (let depth = 0; depth < MAX_DEPTH && at !== RECORD.root; depth++) {
      const { name, parent } = await this.#nameOf(at);
      yield { at, name };
      at = parent;
    }
  }

  /** Files have a long name and often a short one. Names may be in separate records if a file has many attributes. */
  async #nameOf(number: number): Promise<{ name: string; parent: number }> {
    const record = await this.record(number);
    const names = (record?.attributes ?? []).flatMap(({ type, value }) =>
      type === ATTRIBUTE.fileName && value ? [value] : [],
    );
    const value = names.find((found) => found.readUInt8(65) !== DOS_NAME) ?? names[0];
    // Without a name, the message has the record number, and the file counts as a user's file.
    if (!value) return { name: `(record ${number})`, parent: RECORD.root };
    return { name: value.toString('utf16le', 66, 66 + 2 * value.readUInt8(64)), parent: value.readUIntLE(0, 6) };
  }

  /** Reads the start of an attribute. It may be shorter than requested. */
  async readStart({ value, runs }: Attribute, bytes: number): Promise<Buffer> {
    return value?.subarray(0, bytes) ?? (await this.#read(runs, 0, bytes));
  }

  /** The table is a file that its first record describes, together with further records if it has many fragments. */
  async #findMft(firstCluster: number): Promise<void> {
    this.#mft = [{ at: firstCluster, clusters: Math.ceil(this.#recordBytes / this.#clusterBytes) }];
    const first = await this.record(RECORD.mft);
    const data = first?.attributes.find(isContent);
    if (!first || !data) throw new NtfsDamage('its master file table does not describe itself');
    this.#mft = [];
    this.#mftBytes = data.writtenBytes;
    this.#addToMft(data.runs);
    const list = first.attributes.find(({ type }) => type === ATTRIBUTE.list);
    if (list) await this.#findRest(list);
  }

  async #findRest(list: Attribute): Promise<void> {
    const clusters = list.runs.reduce((sum, run) => sum + run.clusters, 0);
    const entries = await this.readStart(list, Math.min(clusters * this.#clusterBytes || Infinity, MAX_LIST_BYTES));
    for (const number of recordsOfContent(entries)) {
      if (number === RECORD.mft) continue;
      const piece = (await this.record(number))?.attributes.find(isContent);
      if (!piece) throw new NtfsDamage('a piece of its master file table is missing');
      this.#addToMft(piece.runs);
    }
  }

  /** Without these checks, the work would not be limited by the size of the device. */
  #addToMft(runs: readonly Run[]): void {
    for (const run of runs) {
      if (run.at === null || run.clusters === 0) throw new NtfsDamage('its master file table has a hole');
      this.#mft.push(run);
      this.#mftCapacity += run.clusters * this.#clusterBytes;
    }
    if (Math.max(this.#mftBytes, this.#mftCapacity) > this.#deviceBytes)
      throw new NtfsDamage('its master file table is larger than the device');
  }

  /** @throws NtfsDamage if the runs end before. */
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

/** A positive value is a number of units, a negative one the exponent of a number of bytes. */
const sizeOf = (value: number, unit: number): number => (value > 0 ? value * unit : 2 ** -value);

/** Whether the attribute is the content of a file and not one of its named streams. */
export const isContent = ({ type, name }: Attribute): boolean => type === ATTRIBUTE.data && name === '';

/** Windows limits attribute lists to 256 KiB. */
const MAX_LIST_BYTES = 256 * 1024;

/** Returns the records with pieces of the content, in order, from an attribute list. */
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
