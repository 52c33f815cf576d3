/** Stored bytes that are changed or truncated anywhere never pass a validation, with or without a manifest. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withMounted } from '../../lab/disks/inspect.ts';
import { checkStored } from '../support/archived-object.ts';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, runMigrate, runValidate, type TestLab } from '../support/lab.ts';
import { fullOr, seededIntegers } from '../support/sampled.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

const CODECS = [
  { argv: [], suffix: '.tar.lz4', ...fullOr('damages of lz4', { flips: 100, cuts: 20 }, { flips: 5, cuts: 2 }) },
  {
    argv: ['--compression', 'zstd'],
    suffix: '.tar.zst',
    ...fullOr('damages of zstd', { flips: 100, cuts: 20 }, { flips: 3, cuts: 2 }),
  },
];

/** How many damaged objects of each codec `validate` checks as well. In full, these are all. */
const BY_COMMAND = fullOr('damaged objects that the command checks', 120, 1);

const integer = seededIntegers();

/** Writes incompressible data and text. */
const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(3_000_000));
  for (let file = 0; file < 50; file++) writeFileSync(join(directory, `text ${file}`), `${file} `.repeat(20_000));
};

type Damage = { what: string; bytes: Buffer };

function flipped(bytes: Buffer): Damage {
  const position = integer(0, bytes.length);
  const bit = integer(0, 8);
  const copy = Buffer.from(bytes);
  copy[position] = (copy[position] ?? 0) ^ (1 << bit);
  return { what: `bit ${bit} of byte ${position} of ${bytes.length}`, bytes: copy };
}

function cut(bytes: Buffer): Damage {
  const length = integer(1, bytes.length);
  return { what: `cut to ${length} of ${bytes.length}`, bytes: bytes.subarray(0, length) };
}

for (const { argv, suffix, flips, cuts } of CODECS) {
  test(`${flips} flipped bits and ${cuts} truncations of *${suffix}`, async (t) => {
    const lab = await labForTest(t);
    const disk = await addSnapshotOf(lab, {
      table: 'none',
      partitions: [{ content: 'ext4', sizeMiB: 32, populate: fill }],
    });
    assert.equal((await runMigrate(lab, ['--all', ...argv])).code, 0);
    const key = await keyEnding(lab, suffix);
    const whole = await bytesOf(lab, key);
    const damages = [
      ...Array.from({ length: flips }, () => flipped(whole)),
      ...Array.from({ length: cuts }, () => cut(whole)),
    ];
    const [facts] = (await readManifest(lab)).objects;
    assert.ok(facts);
    await withMounted(disk.image, null, async (root) => {
      for (const [index, { what, bytes }] of damages.entries()) {
        await replaceObject(lab, key, bytes);
        const isKnown = index % 2 === 0;
        const check = await checkStored(lab, disk.snapshotId, root, facts, { withFacts: isKnown });
        // Without a manifest, a flipped bit that no decoder reads, such as an unused bit of a header, is harmless.
        const isHarmless = !isKnown && check.plainBytes === facts.plainBytes;
        assert.ok(check.differenceCount > 0 || isHarmless, `${isKnown ? 'with' : 'without'} a manifest: ${what}`);
      }
    });
    for (const damage of damages.slice(-BY_COMMAND)) await isRefused(lab, key, damage, disk.snapshotId);
    await isRefused(lab, key, damages[0] ?? { what: 'nothing', bytes: whole }, disk.snapshotId);
    await replaceObject(lab, key, whole);
    assert.equal((await runValidate(lab, ['--snapshots', disk.snapshotId])).code, 0);
  });
}

async function isRefused(lab: TestLab, key: string, { what, bytes }: Damage, snapshotId: string): Promise<void> {
  await replaceObject(lab, key, bytes);
  const done = await runValidate(lab, ['--snapshots', snapshotId]);
  assert.equal(done.code, 12, `${what}: ${done.stderr}`);
  assert.match(done.stderr, /stored-bytes|damaged/);
  const alone = await runValidate(lab, ['--snapshots', snapshotId, '--archive-only']);
  assert.equal(alone.code, 12, `${what}: ${alone.stderr}`);
}
