/** Two archives of one snapshot without a manifest: neither is used, because nothing shows which one is valid. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { BUCKET, labForTest, runCli } from '../support/lab.ts';

test('two objects of the same content with two codecs are ambiguous; one below another prefix does not count', async (t) => {
  const lab = await labForTest(t);
  const stem = 'vol-0123456789abcdef0/2017-06-30T22:00:00+00:00 snap-0123456789abcdef0';
  for (const Key of [`${stem}.tar.lz4`, `attic/${stem}.tar.lz4`, `${stem} - web 2.tar.zstd`])
    await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'anything' }));
  const into = join(lab.directory, 'into');
  const restore = (prefix: string) =>
    runCli(lab.env, ['restore', 'snap-0123456789abcdef0', '--bucket', BUCKET, '--prefix', prefix, '--to-dir', into]);
  const refused = await restore('');
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /has several archives.*: vol-\S+ \S+ - web 2\.tar\.zstd and vol-\S+ \S+\.tar\.lz4/);
  assert.ok(!existsSync(into));
  assert.doesNotMatch((await restore('attic')).stderr, /has several archives/);
});
