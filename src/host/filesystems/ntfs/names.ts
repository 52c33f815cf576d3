/**
 * Counts the names of files and directories in the file table of an NTFS volume, independently of its directory
 * indexes.
 */
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage } from './records.ts';
import { type NtfsVolume, RECORD } from './volume.ts';

/** Types of names. A short name is an alternative to a long one. */
const KIND = { long: 1, short: 2 } as const;

/**
 * Counts the entries of all directories. Drivers list the indexes of directories and skip index blocks that are not
 * marked as used. The records of the files themselves have their names and the directories that contain them.
 */
export class NameCount {
  readonly #volume: NtfsVolume;
  /** Whether the directory that was looked up last belongs to the system. */
  #last = { directory: -1, isOfSystem: false };
  #others = 0;
  #long = 0;
  #short = 0;
  #isReadable = true;

  constructor(volume: NtfsVolume) {
    this.#volume = volume;
  }

  async add({ base, attributes }: MftRecord): Promise<void> {
    if (base < RECORD.firstOfUsers || !this.#isReadable) return;
    try {
      for (const attribute of attributes) await this.#addName(attribute);
    } catch (error) {
      if (!(error instanceof NtfsDamage || error instanceof RangeError)) throw error;
      this.#isReadable = false;
    }
  }

  async #addName({ type, value }: Attribute): Promise<void> {
    if (type !== ATTRIBUTE.fileName || !value) return;
    if (await this.#isOfSystem(value.readUIntLE(0, 6))) return;
    const kind = value.readUInt8(65);
    if (kind === KIND.short) this.#short++;
    else if (kind === KIND.long) this.#long++;
    else this.#others++;
  }

  /** Drivers do not show short names without a long name, but these count, too. `null` if a name cannot be read. */
  get total(): number | null {
    return this.#isReadable ? this.#others + Math.max(this.#long, this.#short) : null;
  }

  async #isOfSystem(directory: number): Promise<boolean> {
    if (directory !== this.#last.directory)
      this.#last = { directory, isOfSystem: await this.#volume.isOfSystem(directory) };
    return this.#last.isOfSystem;
  }
}
