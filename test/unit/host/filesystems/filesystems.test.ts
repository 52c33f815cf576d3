/** The content of a partition determines how it is archived. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { treatmentOf } from '../../../../src/host/filesystems/filesystems.ts';

test('each partition is archived according to its content', () => {
  const probe = { tableType: null, uuid: null, label: null };
  assert.deepEqual(treatmentOf({ ...probe, type: 'ext4', usage: 'filesystem' }), { how: 'mount', type: 'ext4' });
  assert.equal(treatmentOf({ ...probe, type: 'swap', usage: 'other' }).how, 'record');
  assert.equal(treatmentOf({ ...probe, type: 'crypto_LUKS', usage: 'crypto' }).how, 'raw');
  assert.equal(treatmentOf({ ...probe, type: null, usage: null }).how, 'raw');
});

test('ambiguous content is neither mounted nor left out', () => {
  const table = { tableType: 'dos', isContradictory: true };
  for (const found of [
    { type: 'ext4', usage: 'filesystem', ...table },
    { type: 'swap', usage: 'other', ...table },
    { type: null, usage: null, tableType: null, isContradictory: true },
  ])
    assert.match(JSON.stringify(treatmentOf(found)), /"how":"raw".*can be read in (two|several) ways/);
  assert.match(JSON.stringify(treatmentOf({ type: null, usage: null, tableType: 'gpt' })), /raw.*partition table/);
});
