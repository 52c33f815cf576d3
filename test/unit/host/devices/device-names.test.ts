/** Free device names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freeDeviceNames } from '../../../../src/host/devices/device-names.ts';

test('free device names exclude those of EC2 and of this machine', () => {
  const names = freeDeviceNames(['/dev/sda1', '/dev/xvdf', '/dev/sdg1', 'sdh'], (path) => path === '/dev/xvdi');
  assert.equal(names[0], '/dev/sdj');
  assert.ok(!names.includes('/dev/sdf') && !names.includes('/dev/sdi'));
  assert.equal(freeDeviceNames([], () => true).length, 0);
});
