/** The messages of tar. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSocketLine, readTarTotal, unreadableFile } from '../../../../src/archive/tar/tar-command.ts';

test('the messages of tar are parsed', () => {
  assert.equal(readTarTotal('tar: x\nTotal bytes written: 30003200 (29MiB, 129GiB/s)\n'), 30_003_200);
  assert.equal(readTarTotal('tar: x'), null);
  assert.ok(isSocketLine('tar: ./run/log: socket ignored'));
  assert.ok(!isSocketLine('tar: ./socket ignored: file changed as we read it'));
  const stat = { path: './a', reason: 'Cannot stat: Bad message' };
  assert.deepEqual(unreadableFile('tar: ./a: Cannot stat: Bad message'), stat);
  assert.equal(unreadableFile('tar: .: Cannot savedir: Input/output error')?.path, '.');
  assert.equal(unreadableFile('tar: a b: Warning: Cannot llistxattrat: Input/output error')?.path, 'a b');
  const none = 'tar: a b: Warning: Cannot llistxattrat: Operation not supported';
  for (const line of [
    none,
    'tar: ./run/log: socket ignored',
    'tar: -: Cannot write: Broken pipe',
    'tar: memory exhausted',
  ])
    assert.equal(unreadableFile(line), null, line);
});
