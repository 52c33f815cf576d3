/** The lab, used by Debian’s boto3: operations, paginators, waiters, managed transfers, and reads and writes of snapshots. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUCKET, labForTest, runProgram } from '../support/lab.ts';

test('S3, EC2 and the EBS direct APIs, by boto3', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const script = join(import.meta.dirname, 'boto3_client.py');
  // The packaged boto3, whichever python3 is first in PATH.
  const done = await runProgram(['/usr/bin/python3', '-B', script, JSON.stringify(lab.lab.endpoints), BUCKET], {
    env: lab.env,
  });
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.equal(done.stdout.trim(), 'objects\ncopies\ntransfers\ncrc64\npages\nunimplemented\nblocks');
});
