/** Uses the lab with Debian’s boto3: operations, paginators, waiters, managed transfers, and blocks of snapshots. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUCKET, labForTest, runProgram } from '../support/lab.ts';

test('boto3 uses S3, EC2 and the EBS direct APIs', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const script = join(import.meta.dirname, 'boto3_client.py');
  // The package belongs to this python3. Another one may be first in PATH.
  const done = await runProgram(['/usr/bin/python3', '-B', script, JSON.stringify(lab.lab.endpoints), BUCKET], {
    env: lab.env,
  });
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.equal(done.stdout.trim(), 'objects\ncopies\ntransfers\ncrc64\npages\nunimplemented\nblocks');
});
