/** `migrate` requires the programs that it may start with its settings, and no others. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keysIn } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf, writesIn } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { labForTest, runMigrate } from '../support/lab.ts';
import { pathWithOnly } from '../support/processes/search-path.ts';

/** The programs that are started for each command line. */
const TOOLS = {
  '': 'blkid sfdisk mkfifo tar mount umount losetup',
  '--compression zstd --compression-level 19': 'blkid sfdisk mkfifo tar mount umount losetup',
  '--compression-level 2 --source direct': 'blkid sfdisk mkfifo tar mount umount losetup env blockdev',
  '--compression-level 3': 'blkid sfdisk mkfifo lz4 tar mount umount losetup',
  '--validate': 'blkid sfdisk mkfifo lz4 tar mount umount losetup getfattr',
  '--dd --source volume': 'blkid sfdisk mkfifo',
  '--dd --source auto': 'blkid sfdisk mkfifo',
  '--dd --source direct': 'blkid sfdisk',
  '--dd --source direct --compression zstd': 'blkid sfdisk',
  '--dd --source direct --compression-level 3': 'blkid sfdisk lz4',
  '--dd --source direct --gpg-recipient ops@example.com': 'blkid sfdisk mkfifo gpg',
  '--dd --source direct --compression zstd --validate': 'blkid sfdisk mkfifo zstd',
};

/** The program always searches these directories, too. */
const isInSystemDirectory = (tool: string): boolean =>
  ['/usr/sbin', '/sbin'].some((path) => existsSync(join(path, tool)));

test('each program is required before anything is created, and no other program is needed', async (t) => {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOf(lab);
  const home = { GNUPGHOME: await gpgHome(t) };
  await addKey(home.GNUPGHOME, 'ops@example.com');
  for (const [index, [flags, names]] of Object.entries(TOOLS).entries()) {
    const tools = names.split(' ');
    const argv = ['--snapshots', snapshotId, '--prefix', `run-${index}`, ...flags.split(' ').filter(Boolean)];
    const run = (present: string[]) => runMigrate(lab, argv, { env: { ...home, PATH: pathWithOnly(lab, present) } });
    await t.test(flags || 'no flags', async () => {
      const missing = tools.filter((tool) => !isInSystemDirectory(tool));
      if (missing.length > 0) {
        const before = { calls: await writesIn(lab), keys: await keysIn(lab) };
        const refused = await run([]);
        assert.equal(refused.code, 1, refused.stdout + refused.stderr);
        assert.ok(refused.stderr.includes(`not installed: ${missing.join(', ')} [`), refused.stderr);
        assert.deepEqual({ calls: await writesIn(lab), keys: await keysIn(lab) }, before);
      }
      const done = await run(tools);
      assert.equal(done.code, 0, done.stdout + done.stderr);
      const state = (await tagsOf(lab, snapshotId))['snap-to-s3'];
      assert.equal(state, flags.includes('--validate') ? 'validated' : 'migrated');
    });
  }
});
