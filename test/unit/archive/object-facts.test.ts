/** Metadata and tags for any text in snapshots. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { headerValue, objectMetadata, readHeaderValue } from '../../../src/archive/metadata.ts';
import { cut, objectTags } from '../../../src/archive/tags.ts';
import type { Snapshot } from '../../../src/cloud/ports.ts';

const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((value) => value.isWellFormed());

const snapshotWith = (description: string): Snapshot => ({
  id: 'snap-0123456789abcdef0',
  volumeId: 'vol-0123456789abcdef0',
  sizeGiB: 16,
  startTime: new Date('2017-01-01T00:00:00Z'),
  state: 'completed',
  ownerId: '123456789012',
  description,
  encrypted: false,
  kmsKeyId: null,
  storageTier: 'standard',
  dataBytes: null,
  tags: {},
});

test('any text is preserved in a header', () => {
  fc.assert(
    fc.property(text, (value) => {
      const header = headerValue(value);
      assert.match(header, /^[ -~]*$/);
      assert.equal(header.trim(), header);
      assert.equal(readHeaderValue(header), value);
    }),
  );
});

test('metadata stays within 2 KB, because the description is truncated', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 5000 }).filter((value) => value.isWellFormed()),
      (description) => {
        const metadata = objectMetadata(snapshotWith(description), 123);
        const bytes = Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
        assert.ok(bytes <= 2048, `${bytes} bytes`);
        assert.ok(description.startsWith(readHeaderValue(metadata['snapshot-description'] ?? '')));
      },
    ),
  );
});

test('tags meet the limits of S3: number, characters and lengths', () => {
  const tags = fc.dictionary(text, text, { maxKeys: 50 });
  fc.assert(
    fc.property(tags, (given) => {
      const { tags: kept, dropped } = objectTags(given, 'snap-to-s3');
      assert.ok(Object.keys(kept).length <= 10);
      for (const [key, value] of Object.entries(kept)) {
        assert.match(key, /^[\p{L}\p{N}\p{Z}+\-=._:/@]{1,128}$/u);
        assert.match(value, /^[\p{L}\p{N}\p{Z}+\-=._:/@]{0,256}$/u);
      }
      const ours = Object.keys(given).filter((key) => key.startsWith('aws:') || /^snap-to-s3(-id)?$/.test(key));
      assert.equal(Object.keys(kept).length + dropped.length + ours.length, Object.keys(given).length);
    }),
  );
});

test('a tag can have any name', () => {
  const { tags } = objectTags(
    Object.fromEntries([
      ['&&proto&&', 'x'],
      ['constructor', 'y'],
    ]),
    'snap-to-s3',
  );
  assert.deepEqual(Object.entries(tags), [
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
});

test('truncation never splits a character', () => {
  fc.assert(
    fc.property(text, fc.nat(20), (value, units) => {
      const short = cut(value, units);
      assert.ok(value.startsWith(short) && short.length <= units && short.isWellFormed());
    }),
  );
});
