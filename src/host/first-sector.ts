/** The table of four partitions in the first sector of a disk, told from boot sectors that look like one. */

export const SECTOR_BYTES = 512;

const TABLE_AT = 446;
const ENTRY_BYTES = 16;
const ENTRIES = 4;

/** Of an entry: status, type, first sector, number of sectors. */
interface Entry {
  status: number;
  type: number;
  start: number;
  sectors: number;
}

/**
 * Whether a first sector holds a partition table with partitions. Boot sectors of filesystems have the same signature
 * at their end, and code, text or zeros where the table would be: an entry that cannot be one tells them apart.
 * Source: the kernel's block/partitions/msdos.c, which checks the status of all entries too.
 * @param sector its 512 bytes.
 * @param diskSectors length of the disk, in sectors of 512 bytes.
 */
export function looksPartitioned(sector: Buffer, diskSectors: number): boolean {
  if (sector.readUInt16LE(SECTOR_BYTES - 2) !== 0xaa55) return false;
  const entries = Array.from({ length: ENTRIES }, (_none, index) => entryAt(sector, TABLE_AT + index * ENTRY_BYTES));
  const used = entries.filter(({ type, sectors }) => type !== 0 || sectors !== 0);
  const isPossible = ({ type, start, sectors }: Entry): boolean =>
    type !== 0 && sectors > 0 && start > 0 && start < diskSectors;
  return used.length > 0 && entries.every(({ status }) => status === 0 || status === 0x80) && used.every(isPossible);
}

const entryAt = (sector: Buffer, at: number): Entry => ({
  status: sector.readUInt8(at),
  type: sector.readUInt8(at + 4),
  start: sector.readUInt32LE(at + 8),
  sectors: sector.readUInt32LE(at + 12),
});
