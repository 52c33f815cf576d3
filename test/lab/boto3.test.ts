/** Uses the lab with Debian’s boto3: operations, paginators, waiters, managed transfers, and blocks of snapshots. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUCKET, labForTest, runProgram, type TestLab } from '../support/lab.ts';

/** Runs a script, and expects that it prints the names of its parts. */
async function runScript(lab: TestLab, name: string, parts: string): Promise<void> {
  const script = join(import.meta.dirname, name);
  // The package belongs to this python3. Another one may be first in PATH.
  const done = await runProgram(['/usr/bin/python3', '-B', script, JSON.stringify(lab.lab.endpoints), BUCKET], {
    env: lab.env,
  });
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.equal(done.stdout.trim().replaceAll('\n', ' '), parts);
}

test('boto3 uses S3, EC2 and the EBS direct APIs', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  await runScript(lab, 'boto3_client.py', 'objects copies transfers crc64 pages unimplemented blocks');
});

test('boto3 uses versions of objects', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  await runScript(lab, 'boto3_versions.py', 'unversioned enabled markers many uploads pages suspended');
});

test('boto3 uses Object Lock', async (t) => {
  const lab = await labForTest(t);
  await runScript(lab, 'boto3_locks.py', 'buckets requests compliance governance uploads holds defaults');
});

test('boto3 uses lifecycle rules', async (t) => {
  const lab = await labForTest(t);
  await runScript(lab, 'boto3_lifecycle.py', 'configuration expiration uploads noncurrent locks');
});
