/** Reads the directories of a FAT filesystem directly from its device. */
import type { FileHandle } from 'node:fs/promises';
import { MiB } from '../../../lib/units.ts';
import { openVolume } from '../open-volume.ts';
import { fatGeometry } from '../superblocks/boot-sectors.ts';

/** The filesystem is damaged or is no FAT. */
export class FatDamage extends Error {}

/** Enough for 16 million clusters. */
const MAX_TABLE_BYTES = 64 * MiB;

export const ENTRY_BYTES = 32;

/** Flag of FAT32: only one of the tables is kept up to date. */
const NOT_MIRRORED = 0x80;

/** Source: "FAT: General Overview of On-Disk Format" 1.03 of Microsoft. */
export class FatVolume implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #clusterBytes: number;
  readonly #rootAt: number;
  readonly #rootBytes: number;
  readonly #rootCluster: number;
  readonly #dataAt: number;
  readonly #clusters: number;
  readonly bits: number;
  /** The table in use; drivers other than Windows read only the first one, which is 0. */
  readonly activeTable: number;
  #table: Buffer = Buffer.alloc(0);
  /** Clusters of the directories that were read. */
  readonly #known = new Set<number>();

  private constructor(file: FileHandle, boot: Buffer) {
    const made = fatGeometry(boot);
    if (!made?.made) throw new FatDamage('it has no FAT boot sector');
    const field = (name: string): number => Number(made.made?.[name] ?? 0);
    const sectorBytes = field('sectorBytes');
    this.#file = file;
    this.bits = Number(made.features[0]?.slice('FAT'.length));
    this.#clusterBytes = made.blockBytes ?? 0;
    this.#rootAt = (field('reservedSectors') + field('tables') * field('tableSectors')) * sectorBytes;
    this.#rootBytes = field('rootEntries') * ENTRY_BYTES;
    const flags = this.bits === 32 ? boot.readUInt16LE(40) : 0;
    this.activeTable = flags & NOT_MIRRORED ? flags & 0x0f : 0;
    this.#rootCluster = this.bits === 32 ? boot.readUInt32LE(44) : 0;
    this.#dataAt = this.#rootAt + Math.ceil(this.#rootBytes / sectorBytes) * sectorBytes;
    this.#clusters = Math.floor((field('sectors') * sectorBytes - this.#dataAt) / this.#clusterBytes);
  }

  /** @throws FatDamage */
  static open(device: string): Promise<FatVolume> {
    return openVolume(device, async (file, boot) => {
      const volume = new FatVolume(file, boot);
      await volume.#readTable(boot);
      return volume;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  /** Reads a whole directory, each one only once. @param first its first cluster; 0 is the root */
  async directory(first: number): Promise<Buffer> {
    const cluster = first === 0 ? this.#rootCluster : first;
    if (cluster === 0) return this.#read(this.#rootAt, this.#rootBytes);
    const pieces: Buffer[] = [];
    for (const at of this.#chain(cluster))
      pieces.push(await this.#read(this.#dataAt + (at - 2) * this.#clusterBytes, this.#clusterBytes));
    return Buffer.concat(pieces);
  }

  *#chain(first: number): Generator<number> {
    let cluster = first;
    for (let length = 0; cluster < this.#endMark; length++) {
      if (cluster < 2 || cluster >= this.#clusters + 2)
        throw new FatDamage('a directory points to a cluster that does not exist');
      // A directory has at most 2 MiB.
      if (length * this.#clusterBytes > MAX_DIRECTORY_BYTES) throw new FatDamage('a directory is too long');
      // Otherwise the work would not be limited by the size of the filesystem.
      if (this.#known.has(cluster)) throw new FatDamage('two directories share a cluster');
      this.#known.add(cluster);
      yield cluster;
      cluster = this.#next(cluster);
    }
  }

  get #endMark(): number {
    return this.bits === 32 ? 0x0ffffff8 : 2 ** this.bits - 8;
  }

  #next(cluster: number): number {
    if (this.bits === 32) return this.#table.readUInt32LE(4 * cluster) & 0x0fffffff;
    if (this.bits === 16) return this.#table.readUInt16LE(2 * cluster);
    const pair = this.#table.readUInt16LE(cluster + (cluster >> 1));
    return cluster % 2 === 0 ? pair & 0xfff : pair >> 4;
  }

  async #readTable(boot: Buffer): Promise<void> {
    const sectorBytes = boot.readUInt16LE(11);
    const sectors = boot.readUInt16LE(22) || boot.readUInt32LE(36);
    if (sectors * sectorBytes > MAX_TABLE_BYTES) throw new FatDamage('its allocation table is too large');
    this.#table = await this.#read(boot.readUInt16LE(14) * sectorBytes, sectors * sectorBytes);
  }

  async #read(position: number, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await this.#file.read(Buffer.alloc(length), 0, length, position);
    if (bytesRead < length) throw new FatDamage('it extends beyond the end of the device');
    return buffer;
  }
}

const MAX_DIRECTORY_BYTES = 2 * MiB;
