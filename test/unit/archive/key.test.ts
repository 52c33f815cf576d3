import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatStartTime,
  type KeyParts,
  keyStem,
  manifestKey,
  normalisePrefix,
  objectKey,
  parseKey,
} from '../../../src/archive/key.ts';

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''));

const keyParts: fc.Arbitrary<KeyParts> = fc.record({
  prefix: fc.constantFrom('', 'ebs/', 'a b/ü/'),
  volumeId: hex(17).map((id) => `vol-${id}`),
  startTime: fc.date({ min: new Date('2006-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
  snapshotId: fc.oneof(hex(8), hex(17)).map((id) => `snap-${id}`),
  partition: fc.option(fc.integer({ min: 1, max: 128 })),
  layout: fc.constantFrom('tar', 'image'),
  codec: fc.constantFrom('lz4', 'zstd'),
  cipher: fc.constantFrom('none', 'gpg'),
});

test('a key contains its properties', () => {
  fc.assert(
    fc.property(keyParts, (parts) => {
      const startTime = new Date(Math.floor(parts.startTime.getTime() / 1000) * 1000);
      assert.deepEqual(parseKey(objectKey(parts)), { ...parts, startTime, description: null });
    }),
  );
});

test('the keys of one archive have a common stem', () => {
  fc.assert(
    fc.property(keyParts, (parts) => {
      assert.ok(objectKey(parts).startsWith(`${keyStem(parts)}.`));
      assert.ok(manifestKey(parts).startsWith(`${keyStem(parts)}.`));
      assert.equal(parseKey(manifestKey(parts)), null);
    }),
  );
});

/** Keys that version 0.6.1 wrote. */
const OLD: [string, Partial<KeyParts> & { description: string | null }][] = [
  [
    'vol-c2e7a8c94c312e3bb/2017-01-01T12:34:56+00:00 snap-2b866643f6ee878a8.tar.lz4',
    { partition: null, layout: 'tar', codec: 'lz4', cipher: 'none', description: null },
  ],
  [
    'vol-638b1b0830b9eac33/2017-02-01T00:00:00+00:00 snap-9b2bd314eac54255d - nightly (web) backup.p1.tar.lz4',
    { partition: 1, layout: 'tar', description: 'nightly (web) backup' },
  ],
  [
    'vol-3a2dfe765e19b7ae9/2026-11-22T22:31:57+00:00 snap-4dc4c1e3c70e9a7fb.img.zstd',
    { partition: null, layout: 'image', codec: 'zstd', description: null },
  ],
  [
    'vol-6653338b7938965b9/2026-11-22T22:30:26+00:00 snap-61233ae145a928f2f.tar.lz4.gpg',
    { cipher: 'gpg', description: null },
  ],
  [
    'vol-6653338b7938965b9/2017-06-30T22:00:00-04:00 snap-61233ae145a928f2f - a/b/../c.2.tar.lz4',
    { startTime: new Date('2017-07-01T02:00:00Z'), partition: 2, description: 'a/b/../c' },
  ],
];

for (const [key, expected] of OLD) {
  test(`version 0 key: ${key}`, () => {
    const parsed = parseKey(key);
    assert.ok(parsed);
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(parsed[name as keyof KeyParts], value, name);
  });
}

test('other keys are not parsed', () => {
  for (const key of [
    '',
    'readme.txt',
    'vol-1/x.tar.lz4',
    'vol-1/2017-01-01T00:00:00Z snap-1.tar.lz4',
    'vol-1/2017-13-01T00:00:00+00:00 snap-1.tar.lz4',
  ]) {
    assert.equal(parseKey(key), null, key);
  }
});

test('start times are truncated to seconds, in UTC', () => {
  assert.equal(formatStartTime(new Date('2017-01-01T12:34:56.999Z')), '2017-01-01T12:34:56+00:00');
});

test('prefixes end in one slash, or are empty', () => {
  assert.deepEqual(['', 'a', 'a/', '/a//', 'a/b'].map(normalisePrefix), ['', 'a/', 'a/', 'a/', 'a/b/']);
});
