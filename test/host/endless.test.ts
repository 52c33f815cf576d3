/** Chains and lengths on a damaged disk do not make a survey longer than the disk. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { surveyFilesystem } from '../../src/host/filesystems/filesystem-obstacles.ts';
import { temporaryDirectory } from '../support/lab.ts';

const signal = new AbortController().signal;

test('FAT: two directories that share a cluster are damage', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '40M', image]);
  await run(['mkfs.vfat', '-F', '16', image]);
  await run(['mmd', '-i', image, '::/ONE', '::/TWO']);
  const whole = readFileSync(image);
  const clusterOf = (name: string) => whole.readUInt16LE(whole.indexOf(`${name}        \x10`, 0, 'latin1') + 26);
  const table = whole.readUInt16LE(14) * whole.readUInt16LE(11);
  whole.writeUInt16LE(clusterOf('TWO'), table + 2 * clusterOf('ONE'));
  writeFileSync(image, whole);
  const { obstacle } = await surveyFilesystem('vfat', image, signal);
  assert.equal(obstacle, 'its directories cannot be read: two directories share a cluster');
});

/** Positions in the attribute that describes the file table: its length, runs and sizes. */
const LENGTH_AT = 4;
const RUNS_AT = 32;
const SIZES_AT = [40, 48, 56];

/** Changes the content of the file table. @param extra is inserted after its first run. */
async function withTable(image: string, bytes: bigint, extra: number[]): Promise<void> {
  await run(['truncate', '--size', '0', image]);
  await run(['truncate', '--size', '16M', image]);
  await run(['mkntfs', '--force', '--quick', '--quiet', image]);
  const whole = readFileSync(image);
  const record = Number(whole.readBigUInt64LE(48)) * whole.readUInt8(13) * 512;
  let at = record + whole.readUInt16LE(record + 20);
  while (whole.readUInt32LE(at) !== 0x80) at += whole.readUInt32LE(at + LENGTH_AT);
  for (const size of SIZES_AT) whole.writeBigUInt64LE(bytes, at + size);
  const runs = at + whole.readUInt16LE(at + RUNS_AT);
  const lengths = whole.readUInt8(runs);
  const end = runs + 1 + (lengths & 15) + (lengths >> 4);
  whole.copyWithin(end + 8, end, record + 480);
  Buffer.from(extra.length > 0 ? extra : Array(8).fill(0)).copy(whole, end);
  whole.writeUInt32LE(whole.readUInt32LE(at + LENGTH_AT) + 8, at + LENGTH_AT);
  writeFileSync(image, whole);
}

test('NTFS: a file table that has holes or is larger than the device is damage', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  const obstacle = async () => (await surveyFilesystem('ntfs', image, signal)).obstacle;
  await withTable(image, 2n ** 50n, [0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00]);
  assert.equal(await obstacle(), 'its file table cannot be read: its master file table has a hole');
  await withTable(image, 2n ** 50n, []);
  assert.equal(await obstacle(), 'its file table cannot be read: its master file table is larger than the device');
});
