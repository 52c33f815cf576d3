/** The messages of tar. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTarTotal, tellsOfSocket, troubleOf } from '../../../src/archive/tar.ts';

test('what tar says of its own', () => {
  assert.equal(readTarTotal('tar: x\nTotal bytes written: 30003200 (29MiB, 129GiB/s)\n'), 30_003_200);
  assert.equal(readTarTotal('tar: x'), null);
  assert.ok(tellsOfSocket('tar: ./run/log: socket ignored'));
  assert.ok(!tellsOfSocket('tar: ./socket ignored: file changed as we read it'));
  const stat = { path: './a', reason: 'Cannot stat: Bad message' };
  assert.deepEqual(troubleOf('tar: ./a: Cannot stat: Bad message'), stat);
  assert.equal(troubleOf('tar: .: Cannot savedir: Input/output error')?.path, '.');
  assert.equal(troubleOf('tar: a b: Warning: Cannot llistxattrat: Input/output error')?.path, 'a b');
  const none = 'tar: a b: Warning: Cannot llistxattrat: Operation not supported';
  for (const line of [
    none,
    'tar: ./run/log: socket ignored',
    'tar: -: Cannot write: Broken pipe',
    'tar: memory exhausted',
  ])
    assert.equal(troubleOf(line), null, line);
});
