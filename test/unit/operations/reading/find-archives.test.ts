/** Limits how much of a bucket is listed to find one archive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyStem } from '../../../../src/archive/key.ts';
import type { Snapshot } from '../../../../src/cloud/ports.ts';
import { SnapError } from '../../../../src/errors.ts';
import { type ArchiveSources, findArchivesById } from '../../../../src/operations/reading/find-archives.ts';

const hex = (number: number): string => number.toString(16).padStart(8, '0');
const keyOf = (number: number): string =>
  `${keyStem({ prefix: '', volumeId: `vol-${hex(number)}`, startTime: new Date(0), snapshotId: `snap-${hex(number)}` })}.tar.lz4`;

const COUNT = 50_000;
const KEYS = Array.from({ length: COUNT }, (_, number) => keyOf(number));

/** A bucket of many legacy archives, which counts the keys that it lists. @param knows whether EC2 has the snapshot. */
function bucketOf(knows: 'the snapshot' | 'nothing' | 'no answer', keys: readonly string[] = KEYS) {
  const told = { listed: 0 };
  const store = {
    bucket: 'backups',
    async *objects(prefix: string) {
      for (const key of keys) {
        if (!key.startsWith(prefix)) continue;
        told.listed++;
        yield { key };
      }
    },
    async list(prefix: string) {
      const found = keys.filter((key) => key.startsWith(prefix));
      told.listed += found.length;
      return found;
    },
    head: async () => null,
  };
  const snapshots = {
    async byId(ids: readonly string[]): Promise<Partial<Snapshot>[]> {
      if (knows === 'no answer') throw new SnapError('ACCESS_DENIED', 'no');
      return knows === 'nothing' ? [] : ids.map((id) => ({ id, volumeId: id.replace('snap', 'vol') }));
    },
  };
  return { told, sources: { store, snapshots } as unknown as ArchiveSources };
}

const signal = new AbortController().signal;

test('one archive in a large bucket: EC2 provides its volume, and only that prefix is listed', async () => {
  const { told, sources } = bucketOf('the snapshot');
  const id = `snap-${hex(COUNT - 1)}`;
  const { archives } = await findArchivesById([id], '', sources, signal);
  assert.deepEqual(archives[0]?.objects[0]?.key, KEYS.at(-1));
  assert.ok(told.listed <= 2001, `${told.listed} keys were listed`);
});

test('an archive that does not exist is searched for in the whole bucket unless EC2 knows its volume', async () => {
  for (const knows of ['nothing', 'no answer'] as const) {
    const { told, sources } = bucketOf(knows);
    const ids = [`snap-${hex(COUNT - 1)}`, 'snap-ffffffff', `snap-${hex(3)}`];
    const { archives, missing } = await findArchivesById(ids, '', sources, signal);
    assert.deepEqual(
      archives.map(({ snapshotId }) => snapshotId),
      [ids[0], ids[2]],
    );
    assert.deepEqual(
      missing.map(({ id, error }) => [id, error.code]),
      [['snap-ffffffff', 'NOT_FOUND']],
    );
    assert.equal(told.listed, COUNT);
  }
});

test('archives whose snapshots were deleted are searched for up to the end of the volume of the last one', async () => {
  for (const knows of ['nothing', 'no answer'] as const) {
    const { told, sources } = bucketOf(knows);
    const ids = [`snap-${hex(COUNT / 2)}`, `snap-${hex(3)}`];
    const { archives, missing } = await findArchivesById(ids, '', sources, signal);
    assert.deepEqual(
      archives.map(({ snapshotId }) => snapshotId),
      ids,
    );
    assert.deepEqual(missing, []);
    assert.equal(told.listed, COUNT / 2 + 2);
  }
});

test('all objects of an archive are found, also behind those of another snapshot of the volume', async () => {
  const below = (name: string): string => `vol-${hex(1)}/2017-06-${name}.tar.lz4`;
  const [first, other, last] = [
    below('30T22:00:00+00:00 snap-0000000a.1'),
    below('30T23:00:00+00:00 snap-0000000b'),
    // Version 0 wrote the local time.
    below('30T23:30:00+01:30 snap-0000000a.2'),
  ];
  const { told, sources } = bucketOf('nothing', [keyOf(0), first, other, last, keyOf(2), keyOf(3)]);
  const { archives } = await findArchivesById(['snap-0000000a'], '', sources, signal);
  assert.deepEqual(
    archives[0]?.objects.map(({ key }) => key),
    [first, last],
  );
  assert.equal(told.listed, 5);
});
