import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { crc32Of, decodeCrc32, encodeCrc32, joinCrc32 } from '../../../../src/lib/bytes/crc32.ts';

const bytes = fc.uint8Array({ maxLength: 2000 }).map((array) => Buffer.from(array));

test('the combined checksum of parts is that of the whole', () => {
  fc.assert(
    fc.property(fc.array(bytes, { minLength: 1 }), (parts) => {
      const joined = parts.map(crc32Of).reduce(joinCrc32);
      assert.equal(joined.value, crc32(Buffer.concat(parts)));
      assert.equal(joined.bytes, Buffer.concat(parts).length);
    }),
  );
});

test('the check value is encoded as in S3', () => {
  const { value } = crc32Of(Buffer.from('123456789'));
  assert.equal(value, 0xcbf43926);
  assert.equal(encodeCrc32(value), 'y/Q5Jg==');
  assert.equal(decodeCrc32('y/Q5Jg=='), value);
});

test('the checksums of many GiB are combined', () => {
  // All bytes are zeros: joining N of them k times is the same as joining k·N at once.
  const mebibyte = crc32Of(Buffer.alloc(2 ** 20));
  let joined = mebibyte;
  for (let doubling = 0; doubling < 14; doubling++) joined = joinCrc32(joined, joined);
  let step = crc32Of(Buffer.alloc(0));
  for (let count = 0; count < 2 ** 14; count++) step = joinCrc32(step, mebibyte);
  assert.deepEqual(joined, step);
  assert.equal(joined.bytes, 2 ** 34);
});
