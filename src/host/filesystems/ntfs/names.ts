/** How many names of files and directories an NTFS volume has by its file table, whatever its directories list. */
import { ATTRIBUTE, type Attribute, type MftRecord, NtfsDamage } from './records.ts';
import { type NtfsVolume, RECORD } from './volume.ts';

/** Kinds of names: a short one stands beside a long one, of which it is but another form. */
const KIND = { long: 1, short: 2 } as const;

/**
 * Counts the entries that all directories have together. A driver lists what the directories' indexes say, and skips the
 * parts of an index that are not marked as used. The records of files say themselves what they are called and in which
 * directory.
 */
export class NameCount {
  readonly #volume: NtfsVolume;
  /** Whether a directory is the system's; of the last one that was asked for. */
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

  /** Short names that nothing stands beside are names, which no driver shows. `null` where a name cannot be read. */
  get total(): number | null {
    return this.#isReadable ? this.#others + Math.max(this.#long, this.#short) : null;
  }

  async #isOfSystem(directory: number): Promise<boolean> {
    if (directory !== this.#last.directory)
      this.#last = { directory, isOfSystem: await this.#volume.isOfSystem(directory) };
    return this.#last.isOfSystem;
  }
}
