/** Builds MBR partition tables that current programs do not write, entry by entry. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** The type, first sector and number of sectors. `null` is an empty entry. */
export type MbrEntry = readonly [type: number, start: number, size: number] | null;

/** @param tables the entries of each table by its sector: sector 0, and sectors in extended partitions. */
export function writeMbr(path: string, bytes: number, tables: Readonly<Record<number, readonly MbrEntry[]>>): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, bytes);
  for (const [sector, entries] of Object.entries(tables)) writeSync(file, tableOf(entries), 0, 66, sectorEnd(sector));
  closeSync(file);
}

const sectorEnd = (sector: string): number => Number(sector) * 512 + 446;

function tableOf(entries: readonly MbrEntry[]): Buffer {
  const table = Buffer.alloc(66);
  for (const [index, entry] of entries.entries()) {
    if (entry === null) continue;
    const [type, start, size] = entry;
    table.writeUInt8(type, index * 16 + 4);
    table.writeUInt32LE(start, index * 16 + 8);
    table.writeUInt32LE(size, index * 16 + 12);
  }
  table.writeUInt16LE(0xaa55, 64);
  return table;
}
