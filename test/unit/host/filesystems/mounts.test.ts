/** Options without which drivers hide content are given to mount. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mountReadOnly } from '../../../../src/host/filesystems/mounts.ts';
import { temporaryDirectory } from '../../../support/lab.ts';

/** @returns the options that a script in the place of mount receives. */
async function optionsFor(t: TestContext, type: string): Promise<string[]> {
  const directory = temporaryDirectory(t);
  const program = join(directory, 'mount');
  writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > '${directory}/arguments'\nexit 32\n`);
  chmodSync(program, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${directory}${delimiter}${before}`;
  const options = { replay: true, signal: new AbortController().signal };
  try {
    await assert.rejects(mountReadOnly('/dev/none', type, join(directory, 'mnt'), options), { code: 'MOUNT_REFUSED' });
  } finally {
    process.env['PATH'] = before;
  }
  const given = readFileSync(join(directory, 'arguments'), 'utf8').split('\n');
  return given[given.indexOf('-o') + 1]?.split(',') ?? [];
}

test('reiserfs is mounted with attributes of users and access control lists', async (t) => {
  const options = await optionsFor(t, 'reiserfs');
  for (const option of ['ro', 'user_xattr', 'acl']) assert.ok(options.includes(option), options.join());
});
