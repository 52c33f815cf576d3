/** Tools count content that tars cannot hold. The count says whether a tool could not examine something. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { notKeptOf } from '../../src/host/disks/not-kept.ts';
import { temporaryDirectory } from '../support/lab.ts';

const ONE_FLAG = "echo '    0 ----i--------------- /mnt/x/etc'";
const FLAGS = { what: 'chattr flags', count: 1 };
const DOUBT = { what: 'chattr flags of further files, which lsattr could not read', count: null };

test('a killed or failed tool is reported as an incomplete count', async (t) => {
  const directory = temporaryDirectory(t);
  const [root, bin, device] = ['root', 'bin', 'device'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(root);
  mkdirSync(bin);
  await run(['truncate', '--size=64M', device]);
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${bin}${delimiter}${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
  const counted = async (type: string, scripts: Record<string, string>) => {
    for (const [name, script] of Object.entries(scripts))
      writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const found = await notKeptOf({ type, device, root, partition: 1 }, AbortSignal.timeout(60_000));
    return found.filter(({ what }) => /chattr|subvolumes/.test(what));
  };
  const special = "echo 'lsattr: Operation not supported While reading flags on /mnt/x/fifo' >&2";
  assert.deepEqual(await counted('ext4', { lsattr: ONE_FLAG }), [FLAGS]);
  assert.deepEqual(await counted('ext4', { lsattr: `${ONE_FLAG}; ${special}; exit 1` }), [FLAGS], 'special files');
  assert.deepEqual(await counted('ext4', { lsattr: `${ONE_FLAG}; kill -9 $$` }), [FLAGS, DOUBT]);
  const broken = "echo 'lsattr: Input/output error While reading flags on /mnt/x/bad' >&2; exit 1";
  assert.deepEqual(await counted('ext4', { lsattr: `${ONE_FLAG}; ${broken}` }), [FLAGS, DOUBT]);
  const [doubt, ...others] = await counted('btrfs', { lsattr: 'exit 0', btrfs: 'exit 1' });
  assert.match(doubt?.what ?? '', /^subvolumes and snapshots, .* if there are any/);
  assert.deepEqual(others, []);
});
