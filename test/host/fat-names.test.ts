/** Names of FAT by which a driver opens another file are found by reading the directories themselves. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { surveyFilesystem } from '../../src/host/filesystems/filesystem-obstacles.ts';
import { temporaryDirectory } from '../support/lab.ts';

interface Name {
  /** In code page 437. */
  short: Buffer;
  long: string | null;
}

/** @param stem and extension: without their padding; one byte per character. */
const named = (long: string | null, stem: string, extension = ''): Name => ({
  short: Buffer.from(stem.padEnd(8) + extension.padEnd(3), 'latin1'),
  long,
});

/** The entries of an empty file, as the kernel writes them. */
function entriesOf({ short, long }: Name): Buffer {
  const entry = Buffer.alloc(32);
  short.copy(entry);
  entry[11] = 0x20;
  return Buffer.concat([...partsOf(long ?? '', short), entry]);
}

function partsOf(long: string, short: Buffer): Buffer[] {
  const sum = short.reduce((before, byte) => (((before & 1) << 7) + (before >> 1) + byte) & 0xff, 0);
  const count = Math.ceil(long.length / 13);
  const text = Buffer.from(`${long}\0`.padEnd(13 * count, '\uffff'), 'utf16le');
  return Array.from({ length: count }, (_none, index) => {
    const piece = text.subarray(26 * index, 26 * (index + 1));
    const part = Buffer.alloc(32);
    part[0] = index + 1 + (index + 1 === count ? 0x40 : 0);
    part[11] = 0x0f;
    part[13] = sum;
    piece.copy(part, 1, 0, 10);
    piece.copy(part, 14, 10, 22);
    piece.copy(part, 28, 22, 26);
    return part;
  }).reverse();
}

const NO_OBSTACLE = '';
const IGNORED_END = /^(?:x|y|z)[. ]+ has a name that ends in a dot or space, which drivers ignore$/;

const CASES: [string, Name[], RegExp | typeof NO_OBSTACLE][] = [
  ['plain names', [named('x', 'X'), named('x.txt', 'X', 'TXT'), named(null, 'README')], NO_OBSTACLE],
  ['dots and spaces elsewhere', [named('.a b', 'AB~1'), named('a..b ..c', 'A~1', 'C')], NO_OBSTACLE],
  ['a dot at the end, and the same without it', [named('x', 'X'), named('x.', 'X~1')], IGNORED_END],
  ['the same in the other order', [named('x.', 'X~1'), named('x', 'X')], IGNORED_END],
  ['a dot at the end of a single name', [named('y...', 'Y~1')], IGNORED_END],
  ['a space at the end', [named('z ', 'Z~1'), named('z', 'Z')], IGNORED_END],
  ['a dot at the end of a short name', [named(null, 'A', 'B.')], /^A {7}B\. has a name that ends in a dot/],
  [
    'short names beyond ASCII',
    [named('Größe.efi', 'GR\x99\xe1E~1', 'EFI'), named('größer', 'GR\x99\xe1ER')],
    NO_OBSTACLE,
  ],
  [
    'a name like a short name beyond ASCII',
    [named('Übersicht.txt', '\x9aBERSI~1', 'TXT'), named('ÜBERSI~1.TXT', 'BERSI~1', 'TXT')],
    /^drivers cannot distinguish ÜBERSI~1\.TXT from Übersicht\.txt$/,
  ],
  [
    'in the other order, and in lower case',
    [named('übersi~1.txt', 'BERSI~1', 'TXT'), named('Übersicht.txt', '\x9aBERSI~1', 'TXT')],
    /^drivers cannot distinguish Übersicht\.txt from übersi~1\.txt$/,
  ],
  [
    'the byte that replaces the mark of deleted entries',
    [named('long', '\x05LONG'), named('σlong', 'LONG')],
    /^drivers cannot distinguish σlong from long$/,
  ],
];

test('FAT: names that drivers do not find, or by which they open another file', async (t) => {
  const image = join(temporaryDirectory(t), 'disk.img');
  await run(['truncate', '--size', '40M', image]);
  await run(['mkfs.vfat', '-F', '16', '-s', '4', image]);
  const empty = readFileSync(image);
  const root = (empty.readUInt16LE(14) + empty.readUInt8(16) * empty.readUInt16LE(22)) * empty.readUInt16LE(11);
  for (const [what, names, expected] of CASES) {
    const filled = Buffer.from(empty);
    Buffer.concat(names.map(entriesOf)).copy(filled, root);
    writeFileSync(image, filled);
    const { obstacle, names: count } = await surveyFilesystem('vfat', image, new AbortController().signal);
    assert.equal(count, names.length, what);
    if (expected === NO_OBSTACLE) assert.equal(obstacle, null, what);
    else assert.match(obstacle ?? '', expected, what);
  }
});
