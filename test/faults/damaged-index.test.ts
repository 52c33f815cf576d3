/** A damaged index has the same meaning and exit code in every command that reads it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { BUCKET, type Finished, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { named } from '../support/sampled.ts';
import { type StoredArchive, storedArchives } from '../support/stored-archives.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

/** All commands that read an index. They write to `into`, a path that does not exist yet. */
const COMMANDS: Record<string, { of: 'lz4' | 'image'; argv: (snapshotId: string, into: string) => string[] }> = {
  'list ARCHIVE --find': { of: 'lz4', argv: (id) => ['list', id, '--find', '*'] },
  'list ARCHIVE --files': { of: 'lz4', argv: (id) => ['list', id, '--files'] },
  'list --find': { of: 'lz4', argv: () => ['list', '--find', '*'] },
  'restore --to-dir': { of: 'lz4', argv: (id, into) => ['restore', id, '--to-dir', into] },
  'restore --path': { of: 'lz4', argv: (id, into) => ['restore', id, '--to-dir', into, '--path', 'noise'] },
  'restore --path --dry-run': {
    of: 'lz4',
    argv: (id, into) => ['restore', id, '--to-dir', into, '--path', 'noise', '--dry-run'],
  },
  'restore --to-volume': { of: 'lz4', argv: (id) => ['restore', id, '--to-volume', ...MOUNTS] },
  drill: { of: 'lz4', argv: (id) => ['drill', '--snapshots', id, ...MOUNTS] },
  'validate --archive-only': { of: 'lz4', argv: (id) => ['validate', '--archive-only', '--snapshots', id] },
  'restore --to-file': { of: 'image', argv: (id, into) => ['restore', id, '--to-file', into] },
  'restore --to-file --dry-run': { of: 'image', argv: (id, into) => ['restore', id, '--to-file', into, '--dry-run'] },
  'restore --to-snapshot': { of: 'image', argv: (id) => ['restore', id, '--to-snapshot'] },
  'restore --to-volume, image': { of: 'image', argv: (id) => ['restore', id, '--to-volume', ...MOUNTS] },
  'drill, image': { of: 'image', argv: (id) => ['drill', '--snapshots', id, ...MOUNTS] },
  'validate --archive-only, image': {
    of: 'image',
    argv: (id) => ['validate', '--archive-only', '--snapshots', id],
  },
};

const MOUNTS = ['--mount-point', 'MNT'];

const SELECTED = ['list ARCHIVE --find', 'list --find', 'restore --path', 'drill', 'restore --to-file', 'drill, image'];

/** Kinds of damage to an index. In transit, the lowest bit of its middle byte flips in every response. */
const DAMAGE: Record<string, (lab: TestLab, index: string, bytes: Buffer) => Promise<unknown>> = {
  'in transit': (lab, key, { length }) =>
    lab.control.script({
      ...{ service: 's3', operation: 'GetObject', match: { key }, every: 1 },
      action: { kind: 'flip', at: length >> 1 },
    }),
  'overwritten in the bucket': (lab, key) => replaceObject(lab, key, randomBytes(1000)),
  'not in the bucket': (lab, Key) => lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key })),
};

const saidBy = ({ stdout, stderr }: Finished): string => stdout + stderr;

const rereadIn = (done: Finished): unknown[] =>
  recordsOf(done).flatMap(({ code, key }) => (code === 'object.reread' ? [key] : []));

/** Returns the files in sorted order, because archives that are searched concurrently report them in any order. */
const filesIn = (done: Finished): string[] =>
  recordsOf(done)
    .flatMap(({ file }) => (file === undefined ? [] : [JSON.stringify(file)]))
    .sort();

test('a damaged index has exit code 12 in every command; one flip in transit has no effect', async (t) => {
  const { lab, archives } = await storedArchives(t);
  let runs = 0;
  const run = async (name: string): Promise<{ done: Finished; archive: StoredArchive }> => {
    const { of, argv } = COMMANDS[name] ?? COMMANDS['list --find'] ?? assert.fail(name);
    const archive = archives[of];
    const into = join(lab.directory, `into-${runs++}`);
    const given = argv(archive.snapshotId, into).map((word) => (word === 'MNT' ? join(lab.directory, 'mnt') : word));
    const done = await runCli(lab.env, [...given, '--bucket', BUCKET, '--json']);
    rmSync(into, { recursive: true, force: true });
    return { done, archive };
  };
  for (const [name, { of }] of named(SELECTED, COMMANDS)) {
    const { index } = archives[of];
    const bytes = await bytesOf(lab, index);
    const good = await run(name);
    assert.equal(good.done.code, 0, `${name}: ${saidBy(good.done)}`);
    const flip = { kind: 'flip', at: bytes.length >> 1 } as const;
    await lab.control.script({ service: 's3', operation: 'GetObject', match: { key: index }, action: flip });
    const once = await run(name);
    assert.deepEqual(await lab.control.unusedFaults(), [], `${name} does not read the index`);
    assert.equal(once.done.code, 0, `${name}: ${saidBy(once.done)}`);
    assert.deepEqual(rereadIn(once.done), [index], name);
    assert.deepEqual(filesIn(once.done), filesIn(good.done), name);
    for (const [how, damage] of Object.entries(DAMAGE)) {
      await damage(lab, index, bytes);
      const { done, archive } = await run(name);
      await lab.control.clearFaults();
      await restoreIndex(lab, archive, bytes);
      assert.equal(done.code, 12, `${name}, ${how}: ${saidBy(done)}`);
      assert.ok(saidBy(done).includes(index), `${name}, ${how}: ${saidBy(done)}`);
      assert.doesNotMatch(saidBy(done), /"code":"(?!DIFFERS)[A-Z_]+"/, `${name}, ${how}`);
      if (name.startsWith('list ARCHIVE')) assert.deepEqual(filesIn(done), [], 'nothing of it is believed');
    }
  }
});

/** Writes the original bytes back, which have the ETag that the manifest names. */
async function restoreIndex(lab: TestLab, { index }: StoredArchive, bytes: Buffer): Promise<void> {
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: index, Body: bytes }));
}
