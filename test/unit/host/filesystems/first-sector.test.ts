/** Partition tables and boot sectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { looksPartitioned } from '../../../../src/host/filesystems/first-sector.ts';

test('a partition table is distinguished from a boot sector with the same signature', () => {
  const entry = (at: number, bytes: number[]) => (sector: Buffer) =>
    void Buffer.from(bytes).copy(sector, 446 + 16 * at);
  const sectorWith = (...changes: ((sector: Buffer) => void)[]): Buffer => {
    const sector = Buffer.alloc(512);
    sector.writeUInt16LE(0xaa55, 510);
    for (const change of changes) change(sector);
    return sector;
  };
  const linux = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0];
  const beyond = [...linux.slice(0, 8), 0, 0, 0, 1, 0, 0, 1, 0];
  const isTable = (sector: Buffer) => looksPartitioned(sector, 262_144);
  assert.ok(isTable(sectorWith(entry(0, linux))));
  assert.ok(isTable(sectorWith(entry(3, linux))), 'the first entries can be free');
  assert.ok(!isTable(sectorWith()), 'GRUB in a partition leaves the table empty');
  assert.ok(!isTable(sectorWith((sector) => sector.write('Press Ctrl+Alt+Del to restart', 446))));
  assert.ok(!isTable(sectorWith(entry(0, linux), entry(1, [0x20]))), 'no status is 0x20');
  assert.ok(!isTable(sectorWith(entry(0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]))), 'hybrid ISO images');
  assert.ok(!isTable(sectorWith(entry(0, beyond))), 'beyond the end');
  assert.ok(isTable(sectorWith(entry(0, linux), entry(1, beyond))), 'one partition too many does not undo the others');
  assert.ok(!isTable(sectorWith(entry(0, linux), (sector) => sector.writeUInt16LE(0, 510))));
});
