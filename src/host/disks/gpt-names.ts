/** Writes the names of GPT partitions that sfdisk cannot write: those with characters beyond 16 bits, such as 🎉. */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** Source: UEFI specification, sections 5.3.2 and 5.3.3. */
const HEADER = {
  length: 12,
  checksum: 16,
  other: 32,
  entries: 72,
  count: 80,
  entryBytes: 84,
  entriesChecksum: 88,
} as const;
const [NAME_AT, NAME_BYTES] = [56, 72];

const MAX_ENTRIES_BYTES = 1024 * 1024;

export interface NamedPartition {
  number: number;
  name: string;
}

/** Whether sfdisk drops the name. */
export const isDropped = (name: string): boolean => /[\ud800-\udfff]/.test(name);

/** Changes both copies of the table, which sfdisk has just written. */
export async function writeGptNames(device: string, sectorBytes: number, named: NamedPartition[]): Promise<void> {
  await using file = await open(device, 'r+');
  const other = await writeCopy(file, sectorBytes, 1, named);
  await writeCopy(file, sectorBytes, other, named);
  await file.sync();
}

/** @returns the sector of the header of the other copy. */
async function writeCopy(
  file: FileHandle,
  sectorBytes: number,
  sector: number,
  named: readonly NamedPartition[],
): Promise<number> {
  const header = await readAt(file, sector * sectorBytes, sectorBytes);
  const [count, entryBytes] = [header.readUInt32LE(HEADER.count), header.readUInt32LE(HEADER.entryBytes)];
  if (header.toString('latin1', 0, 8) !== 'EFI PART' || count * entryBytes > MAX_ENTRIES_BYTES)
    throw new Error(`there is no GPT header in sector ${sector}`);
  const entriesAt = Number(header.readBigUInt64LE(HEADER.entries)) * sectorBytes;
  const entries = await readAt(file, entriesAt, count * entryBytes);
  for (const { number, name } of named) {
    const place = (number - 1) * entryBytes + NAME_AT;
    entries.fill(0, place, place + NAME_BYTES);
    Buffer.from(name, 'utf16le').copy(entries, place, 0, NAME_BYTES);
  }
  header.writeUInt32LE(crc32(entries), HEADER.entriesChecksum);
  header.writeUInt32LE(0, HEADER.checksum);
  header.writeUInt32LE(crc32(header.subarray(0, header.readUInt32LE(HEADER.length))), HEADER.checksum);
  await file.write(entries, 0, entries.length, entriesAt);
  await file.write(header, 0, header.length, sector * sectorBytes);
  return Number(header.readBigUInt64LE(HEADER.other));
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead < length) throw new Error(`the GPT is cut at byte ${position + bytesRead}`);
  return buffer;
}
