/** How many names of files and directories an NTFS volume has by its file table, whatever its directories list. */
import { ATTRIBUTE, type Attribute, NtfsDamage } from './records.ts';
import { NtfsVolume, RECORD } from './volume.ts';

/** Kinds of names: a short one stands beside a long one, of which it is but another form. */
const KIND = { long: 1, short: 2 } as const;

/**
 * A driver lists what the directories' indexes say, and skips the parts of an index that are not marked as used. The
 * records of files say themselves what they are called and in which directory.
 * @returns how many entries all directories have together; `null` where the table cannot be read.
 */
export async function countNames(device: string, signal: AbortSignal): Promise<number | null> {
  try {
    await using volume = await NtfsVolume.open(device);
    const names = new NameCount(volume);
    for await (const { record } of volume.records(signal))
      if (record.base >= RECORD.firstOfUsers) for (const attribute of record.attributes) await names.add(attribute);
    return names.total;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NtfsDamage || error instanceof RangeError) return null;
    throw error;
  }
}

class NameCount {
  readonly #volume: NtfsVolume;
  /** Whether a directory is the system's; of the last one that was asked for. */
  #last = { directory: -1, isOfSystem: false };
  #others = 0;
  #long = 0;
  #short = 0;

  constructor(volume: NtfsVolume) {
    this.#volume = volume;
  }

  async add({ type, value }: Attribute): Promise<void> {
    if (type !== ATTRIBUTE.fileName || !value) return;
    if (await this.#isOfSystem(value.readUIntLE(0, 6))) return;
    const kind = value.readUInt8(65);
    if (kind === KIND.short) this.#short++;
    else if (kind === KIND.long) this.#long++;
    else this.#others++;
  }

  /** Short names that nothing stands beside are names, which no driver shows. */
  get total(): number {
    return this.#others + Math.max(this.#long, this.#short);
  }

  async #isOfSystem(directory: number): Promise<boolean> {
    if (directory !== this.#last.directory)
      this.#last = { directory, isOfSystem: await this.#volume.isOfSystem(directory) };
    return this.#last.isOfSystem;
  }
}
