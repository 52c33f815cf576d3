/** The formats of sizes, durations and dollars. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDollars, formatDuration, GiB, KiB } from '../../../src/lib/units.ts';

test('sizes', () => {
  assert.deepEqual([0, 1023, KiB, 1536, 10 * KiB, 1024 * KiB - 1, GiB, 2.5 * GiB].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.00 KiB',
    '1.50 KiB',
    '10.0 KiB',
    '1.00 MiB',
    '1.00 GiB',
    '2.50 GiB',
  ]);
});

test('durations', () => {
  assert.deepEqual([0, 59.4, 61, 3725, 90_000].map(formatDuration), [
    '0 s',
    '59 s',
    '1 min 01 s',
    '1 h 02 min',
    '1 d 01 h',
  ]);
});

test('dollars: small amounts are not shown as zero', () => {
  assert.deepEqual([0, 0.00123, 0.5, 12.345].map(formatDollars), ['$0.00', '$0.0012', '$0.50', '$12.35']);
  assert.deepEqual([6.5e-9, 0.000123, 0.0099, 0.01].map(formatDollars), ['<$0.0001', '$0.00012', '$0.0099', '$0.01']);
});
