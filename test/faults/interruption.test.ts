/** Ctrl+C at any moment leaves nothing behind in the cloud or on this machine. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { claimKey } from '../../src/archive/claim.ts';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, PROGRAM, runMigrate, runProgram } from '../support/lab.ts';

/** The delays in milliseconds. Each state lasts long enough to be seen, and all tests together take an acceptable time. */
const DELAYS = { volumeCreating: 400, attaching: 400, detaching: 200, deleting: 100 };

const MOMENTS: { when: string; line: RegExp; signal: NodeJS.Signals; fault?: FaultSpec }[] = [
  { when: 'the snapshot is started', line: /: started /, signal: 'SIGINT' },
  { when: 'the tag is set to migrating', line: /=migrating/, signal: 'SIGTERM' },
  { when: 'the volume is requested', line: /creating a gp3 volume/, signal: 'SIGHUP' },
  { when: 'the volume is being created', line: /: volume \S+ created/, signal: 'SIGINT' },
  { when: 'the volume is being attached', line: /: attaching /, signal: 'SIGTERM' },
  { when: 'the device has appeared', line: /: vol-\w+ attached as \/dev\//, signal: 'SIGINT' },
  { when: 'the disk has been read', line: /no partition table/, signal: 'SIGINT' },
  { when: 'the filesystem is mounted', line: / mounted at /, signal: 'SIGHUP' },
  { when: 'the stream begins', line: /: storing /, signal: 'SIGINT' },
  {
    when: 'a part is in flight',
    line: /S3: retrying the call/,
    signal: 'SIGTERM',
    fault: { service: 's3', operation: 'UploadPart', action: { kind: 'error', code: 'SlowDown' } },
  },
  {
    when: 'the upload is being completed',
    line: /S3: retrying the call/,
    signal: 'SIGINT',
    fault: { service: 's3', operation: 'CompleteMultipartUpload', action: { kind: 'error', code: 'SlowDown' } },
  },
  { when: 'the attachment hangs', line: /: attaching /, signal: 'SIGINT', fault: stuck() },
];

function stuck(): FaultSpec {
  return {
    service: 'ec2',
    operation: 'AttachVolume',
    every: 1,
    action: { kind: 'behaviour', name: 'stuck-attaching' },
  };
}

for (const { when, line, signal, fault } of MOMENTS) {
  test(`${signal} when ${when}`, async (t) => {
    const lab = await labForTest(t, { delays: DELAYS });
    if (fault) await lab.control.script(fault);
    const { snapshotId } = await addSnapshotOf(lab);
    let sent = false;
    const done = await runMigrate(lab, ['--all'], {
      onLine: (text, send) => {
        if (sent || !line.test(text)) return;
        sent = true;
        send(signal);
      },
    });
    assert.ok(sent, done.stderr);
    assert.equal(done.code, 130, done.stderr);
    assert.match(done.stderr, new RegExp(`stopped by ${signal}`));
    // A completion in flight is awaited. The object is then complete, reported as stored, and recorded in the claim.
    const kept = [claimKey('', snapshotId), ...(await keysIn(lab)).filter((key) => key.endsWith('.tar.lz4'))];
    assert.deepEqual(await keysIn(lab), /: stored /.test(done.stderr) ? kept : []);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  });
}

test('an interruption after the manifest was written does not undo the archive', async (t) => {
  const lab = await labForTest(t, { delays: DELAYS });
  const { snapshotId } = await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--all'], {
    onLine: (text, send) => {
      if (/tagged snap-to-s3=migrated/.test(text)) send('SIGINT');
    },
  });
  assert.ok(done.code === 130 || done.code === 0, done.stderr);
  assert.equal((await keysIn(lab)).length, 3);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('a second signal quits immediately, and reports what is left and how to remove it', async (t) => {
  const lab = await labForTest(t, {
    delays: { ...DELAYS, attaching: 60_000, detaching: 60_000 },
    allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'],
  });
  await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--all'], {
    onLine: (text, send) => {
      if (/: attaching /.test(text)) send('SIGINT');
      if (/a second signal quits immediately and lists what is left behind$/.test(text)) send('SIGINT');
    },
  });
  assert.equal(done.code, 130, done.stderr);
  assert.match(done.stderr, /left behind, with the commands that remove it:/);
  assert.match(done.stderr, /aws ec2 delete-volume --volume-id vol-/);
  assert.match(done.stderr, /claim \S+snap-\w+\.json: .*\n +aws s3api delete-object --bucket 'backups' --key '\S+'/);
  assert.match(done.stderr, /aws ec2 create-tags --resources snap-\w+ --tags Key='snap-to-s3',Value='migrate'/);
});

for (const [name, redirect] of [
  ['a reader of stdout that exits early', '| head -n 1'],
  ['a reader of stderr that exits early', '2> >(head -n 1)'],
] as const) {
  test(`${name}: the run continues and succeeds`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab);
    const script = `"$@" ${redirect}; echo "\${PIPESTATUS[0]}" > "$CODE"`;
    const code = join(lab.directory, 'code');
    const flags = ['migrate', '--all', '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt')];
    const argv = [process.execPath, PROGRAM, ...flags, ...(redirect.startsWith('|') ? ['--json'] : [])];
    await runProgram(['bash', '-c', script, 'bash', ...argv], { env: { ...lab.env, CODE: code } });
    assert.equal(readFileSync(code, 'utf8').trim(), '0');
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  });
}

for (const flags of [['--json'], []]) {
  test(`if the output cannot be written, the run fails after its work is done ${flags.join('')}`, async (t) => {
    const lab = await labForTest(t);
    const { snapshotId } = await addSnapshotOf(lab);
    const migrate = ['migrate', '--all', '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), ...flags];
    const argv = [process.execPath, PROGRAM, ...migrate];
    const done = await runProgram(['bash', '-c', '"$@" > /dev/full 2>&1', 'bash', ...argv], { env: lab.env });
    assert.equal(done.code, 1, done.stderr);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  });
}
