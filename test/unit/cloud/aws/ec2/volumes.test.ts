/** The parameters of new volumes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInput } from '../../../../../src/cloud/aws/ec2/volumes.ts';

test('types that need a number of IOPS are refused before EC2 is called', () => {
  const wanted = {
    content: { kind: 'empty' as const, sizeGiB: 8, encrypted: false },
    availabilityZone: 'us-east-1a',
    tags: {},
    clientToken: 'x',
  };
  for (const type of ['io1', 'io2']) assert.throws(() => createInput({ ...wanted, type }), { code: 'USAGE' });
  assert.equal(createInput({ ...wanted, type: 'gp3' }).VolumeType, 'gp3');
});
