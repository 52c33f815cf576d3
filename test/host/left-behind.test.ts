/** The harness finds everything that a test run leaves behind, and ignores resources of other runs on this machine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, realpathSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { leftBehind } from '../support/machine-state.ts';

test('links into the directory of a run are leftovers, and links elsewhere are not', async (t) => {
  const [ours, others] = [0, 1].map(() => realpathSync(temporaryDirectory(t)));
  assert.ok(ours && others);
  await using things = new AsyncDisposableStack();
  const image = join(ours, 'disk.img');
  await run(['truncate', '--size', '16M', image]);
  await run(['mkfs.ext4', '-q', image]);
  const device = (await run(['losetup', '--find', '--show', image])).trim();
  things.defer(async () => void (await run(['losetup', '--detach', device])));
  const window = (await run(['losetup', '--find', '--show', '--sizelimit', '4096', device])).trim();
  things.defer(async () => void (await run(['losetup', '--detach', window])));
  const target = join(ours, 'mnt');
  mkdirSync(target);
  await run(['mount', '-o', 'ro', device, target]);
  things.defer(async () => void (await run(['umount', target])));
  const link = `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol${process.pid}left`;
  mkdirSync('/dev/disk/by-id', { recursive: true });
  symlinkSync(`${device}p1`, link);
  things.defer(() => unlinkSync(link));
  writeFileSync(join(ours, 'snap-to-s3-forgotten'), '');
  const byEnvironment = spawn('sleep', ['1000'], { env: { PATH: process.env['PATH'], HOME: join(ours, 'work') } });
  const byArguments = spawn('tail', ['-f', '/dev/null', join(ours, 'snap-to-s3-forgotten')], { stdio: 'ignore' });
  for (const child of [byEnvironment, byArguments])
    things.defer(async () => {
      child.kill();
      await once(child, 'close');
    });
  const found = [`loop device ${device} ${image}`, `loop device ${window} ${device}`, `mount ${device} at ${target}`];
  found.push(`device link ${link}`, `file ${join(ours, 'snap-to-s3-forgotten')}`);
  found.push(`process ${byEnvironment.pid} sleep 1000 `);
  found.push(`process ${byArguments.pid} tail -f /dev/null ${join(ours, 'snap-to-s3-forgotten')} `);
  assert.deepEqual(leftBehind(ours).sort(), found.sort());
  assert.deepEqual(leftBehind(others), []);
});
