/** Damages NTFS in ways that drivers silently ignore. */
import { readFileSync, writeFileSync } from 'node:fs';

const RECORD_BYTES = 1024;
const FIRST_OF_USERS = 64;
const BITMAP = 0xb0;

/**
 * Marks the whole index of large directories as unused, so that files exist that no directory lists.
 * @param image a filesystem without a partition table.
 */
export function hideEntries(image: string): void {
  const disk = readFileSync(image);
  for (let at = 0; at + RECORD_BYTES <= disk.length; at += RECORD_BYTES) {
    const record = disk.subarray(at, at + RECORD_BYTES);
    if (record.toString('latin1', 0, 4) === 'FILE' && record.readUInt32LE(44) >= FIRST_OF_USERS) clearBitmaps(record);
  }
  writeFileSync(image, disk);
}

function clearBitmaps(record: Buffer): void {
  const used = record.readUInt32LE(24);
  for (let at = record.readUInt16LE(20); at + 24 < used; at += record.readUInt32LE(at + 4)) {
    const isHere = record.readUInt8(at + 8) === 0;
    if (record.readUInt32LE(at) !== BITMAP || !isHere) continue;
    const value = at + record.readUInt16LE(at + 20);
    record.fill(0, value, value + record.readUInt32LE(at + 16));
  }
}
