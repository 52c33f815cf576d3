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
function bucketOf(knows: 'the snapshot' | 'nothing' | 'no answer') {
  const told = { listed: 0 };
  const store = {
    bucket: 'backups',
    async *objects(prefix: string) {
      for (const key of KEYS) {
        if (!key.startsWith(prefix)) continue;
        told.listed++;
        yield { key };
      }
    },
    async list(prefix: string) {
      const found = KEYS.filter((key) => key.startsWith(prefix));
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

test('without EC2, or if the snapshot no longer exists, the whole bucket is listed', async () => {
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
