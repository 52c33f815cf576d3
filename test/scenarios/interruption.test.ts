/** Ctrl+C, at whatever moment, leaves nothing behind: the harness looks at the cloud and at this machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaultSpec } from '../../lab/core/contract.ts';
import { claimKey } from '../../src/archive/claim.ts';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { labForTest, runMigrate } from '../support/lab.ts';

/** Long enough that each state is seen, short enough for ten of them. */
const DELAYS = { volumeCreating: 400, attaching: 400, detaching: 200, deleting: 100 };

const MOMENTS: { when: string; line: RegExp; signal: NodeJS.Signals; fault?: FaultSpec }[] = [
  { when: 'the snapshot is taken up', line: /: started /, signal: 'SIGINT' },
  { when: 'the tag says migrating', line: /=migrating/, signal: 'SIGTERM' },
  { when: 'the volume is asked for', line: /creating a temporary/, signal: 'SIGHUP' },
  { when: 'the volume is being created', line: /temporary volume \S+ created/, signal: 'SIGINT' },
  { when: 'the volume is being attached', line: /: attaching /, signal: 'SIGTERM' },
  { when: 'the device is there', line: /: vol-\w+ is \/dev\//, signal: 'SIGINT' },
  { when: 'the disk has been read', line: /no partition table/, signal: 'SIGINT' },
  { when: 'the filesystem is mounted', line: / mounted at /, signal: 'SIGHUP' },
  { when: 'the stream begins', line: /: storing /, signal: 'SIGINT' },
  {
    when: 'a part is on its way',
    line: /S3 call retried/,
    signal: 'SIGTERM',
    fault: { service: 's3', operation: 'UploadPart', action: { kind: 'error', code: 'SlowDown' } },
  },
  {
    when: 'the upload is being completed',
    line: /S3 call retried/,
    signal: 'SIGINT',
    fault: { service: 's3', operation: 'CompleteMultipartUpload', action: { kind: 'error', code: 'SlowDown' } },
  },
  { when: 'it hangs while attaching', line: /: attaching /, signal: 'SIGINT', fault: stuck() },
];

function stuck(): FaultSpec {
  return { service: 'ec2', operation: 'AttachVolume', action: { kind: 'behaviour', name: 'stuck-attaching' } };
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
    // A completion that is under way is awaited; the object is whole then, said to be stored, and on record.
    const kept = [claimKey('', snapshotId), ...(await keysIn(lab)).filter((key) => key.endsWith('.tar.lz4'))];
    assert.deepEqual(await keysIn(lab), /: stored /.test(done.stderr) ? kept : []);
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrate');
  });
}

test('after the commit, an interruption does not undo it', async (t) => {
  const lab = await labForTest(t, { delays: DELAYS });
  const { snapshotId } = await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--all'], {
    onLine: (text, send) => {
      if (/tagged snap-to-s3=migrated/.test(text)) send('SIGINT');
    },
  });
  assert.ok(done.code === 130 || done.code === 0, done.stderr);
  assert.equal((await keysIn(lab)).length, 2);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
});

test('a second signal leaves at once, and says what it leaves and how to remove it', async (t) => {
  const lab = await labForTest(t, {
    delays: DELAYS,
    allowLeftovers: ['volume', 'attachment', 'loop-device', 'device-link'],
  });
  await addSnapshotOf(lab);
  const done = await runMigrate(lab, ['--all'], {
    onLine: (text, send) => {
      if (/ is \/dev\//.test(text)) send('SIGINT');
      if (/ leaves at once$/.test(text)) send('SIGINT');
    },
  });
  assert.equal(done.code, 130, done.stderr);
  assert.match(done.stderr, /leaving behind:/);
  assert.match(done.stderr, /aws ec2 delete-volume --volume-id vol-/);
});
