/** Distinguishes the partition table in the first sector of a disk from boot sectors that look like one. */

export const SECTOR_BYTES = 512;

const TABLE_AT = 446;
const ENTRY_BYTES = 16;
const ENTRIES = 4;

/** An entry of the table. */
interface TableEntry {
  status: number;
  type: number;
  start: number;
  sectors: number;
}

/** Whether a sector has the signature of partition tables, which boot sectors have, too. */
export const isSigned = (sector: Buffer): boolean => sector.readUInt16LE(SECTOR_BYTES - 2) === 0xaa55;

/**
 * Whether a first sector holds a partition table with partitions. Boot sectors of filesystems end with the same
 * signature but have code, text or zeros in place of the table, so their entries are usually impossible. Like
 * block/partitions/msdos.c of the kernel, this checks the status of all entries and requires one possible entry.
 * @param sector its 512 bytes.
 * @param diskSectors size of the disk in sectors of 512 bytes.
 */
export function looksPartitioned(sector: Buffer, diskSectors: number): boolean {
  if (!isSigned(sector)) return false;
  const entries = entriesOf(sector);
  const isPossible = ({ type, start, sectors }: TableEntry): boolean =>
    type !== 0 && sectors > 0 && start > 0 && start < diskSectors;
  return entries.every(({ status }) => status === 0 || status === 0x80) && entries.some(isPossible);
}

/** Source: struct bsd_disklabel in block/partitions/msdos.c of the kernel. */
const BSD = { magic: 0x82564557, secondMagicAt: 132, countAt: 138, maximum: 16 } as const;

/** Whether the second sector of a device is a disk label of BSD, whose partitions the kernel numbers after the others. */
export const hasBsdLabel = (sector: Buffer): boolean =>
  sector.readUInt32LE(0) === BSD.magic &&
  sector.readUInt32LE(BSD.secondMagicAt) === BSD.magic &&
  sector.readUInt16LE(BSD.countAt) > 0 &&
  sector.readUInt16LE(BSD.countAt) <= BSD.maximum;

/** The entry that protects a GPT disk from programs that do not support GPT. Source: UEFI specification, 5.2.3. */
const PROTECTIVE = 0xee;

/**
 * Whether the first sector of a GPT disk has further partitions (a hybrid MBR). They may be missing in the GPT.
 * @param sector its 512 bytes.
 */
export const isHybrid = (sector: Buffer): boolean =>
  entriesOf(sector).some(({ type, sectors }) => type !== 0 && type !== PROTECTIVE && sectors > 0);

export const entriesOf = (sector: Buffer): TableEntry[] =>
  Array.from({ length: ENTRIES }, (_none, index) => entryAt(sector, TABLE_AT + index * ENTRY_BYTES));

const entryAt = (sector: Buffer, at: number): TableEntry => ({
  status: sector.readUInt8(at),
  type: sector.readUInt8(at + 4),
  start: sector.readUInt32LE(at + 8),
  sectors: sector.readUInt32LE(at + 12),
});
