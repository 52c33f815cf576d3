/** The reports of the compressors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCounts } from '../../../src/archive/codec.ts';

test('the reports of the compressors are parsed', () => {
  assert.deepEqual(readCounts('lz4', 'x\nCompressed 1234 bytes into 567 bytes ==> 45.95%\n'), {
    plainBytes: 1234,
    storedBytes: 567,
  });
  assert.deepEqual(readCounts('zstd', '/*stdin*\\            : 28.61%   (  1234 B =>    353 B, /*stdout*\\) \n'), {
    plainBytes: 1234,
    storedBytes: 353,
  });
  assert.equal(readCounts('zstd', '/*stdin*\\ : 28.61%   (  1.2 GiB =>    353 MiB, /*stdout*\\)'), null);
  assert.equal(readCounts('lz4', 'Error 31'), null);
});
