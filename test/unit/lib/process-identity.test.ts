/** The mark of a machine is a hash that depends on its machine id and its hardware. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markOf } from '../../../src/lib/process-identity.ts';

const ID = 'b08dfa6083e7567a1921a715000001fb';

test('machines with different ids or hardware have different marks, which do not reveal the id', () => {
  const marks = [
    markOf(`${ID}\n`, 'ec2-1\n'),
    markOf(ID.replace('b', 'c'), 'ec2-1'),
    markOf(ID, 'ec2-2'),
    markOf(ID, ''),
  ];
  assert.equal(new Set(marks).size, marks.length);
  assert.equal(marks[0], markOf(ID, 'ec2-1'));
  for (const mark of marks) assert.match(mark, /^[0-9a-f]{16}$/);
  assert.ok(!ID.includes(marks[3] ?? ''));
});

test('a machine without a machine id has no mark', () => {
  for (const content of ['', '\n', 'uninitialized\n', ID.slice(1), `${ID}0`])
    assert.equal(markOf(content, 'ec2-1'), '');
});
