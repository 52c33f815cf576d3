/** The output of getfattr is used only if getfattr has succeeded or has reported what it left out. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readXattrs } from '../../../../src/host/filesystems/xattrs.ts';
import { temporaryDirectory } from '../../../support/lab.ts';

const TOO_LONG = 'getfattr: /root/deep: File name too long';

/** Reads the output of a script that takes the place of getfattr. */
async function readFrom(t: TestContext, script: string): Promise<{ files: number; tooLong: number }> {
  const directory = temporaryDirectory(t);
  const program = join(directory, 'getfattr');
  writeFileSync(program, `#!/bin/sh\nprintf '# file: /root/a\\nuser.x=0x00\\n\\n'\n${script}\n`);
  chmodSync(program, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${directory}${delimiter}${before}`;
  try {
    const found = { files: 0, tooLong: 0 };
    const onTooLong = () => found.tooLong++;
    for await (const _file of readXattrs('/root', new AbortController().signal, onTooLong)) found.files++;
    return found;
  } finally {
    process.env['PATH'] = before;
  }
}

test('a killed or failed getfattr is an error', async (t) => {
  await assert.rejects(readFrom(t, 'kill -9 $$'), /getfattr was killed by SIGKILL/);
  await assert.rejects(readFrom(t, `echo '${TOO_LONG}' >&2; kill -9 $$`), /getfattr was killed by SIGKILL/);
  await assert.rejects(readFrom(t, 'exit 1'), /getfattr exited 1 \(no error message\)/);
  const refused = `echo '${TOO_LONG}' >&2; echo 'getfattr: /root/b: Input/output error' >&2; exit 1`;
  await assert.rejects(readFrom(t, refused), /getfattr exited 1 \(.*Input\/output error\)/);
});

test('paths that are too long for getfattr are reported to the caller', async (t) => {
  assert.deepEqual(await readFrom(t, 'exit 0'), { files: 1, tooLong: 0 });
  assert.deepEqual(await readFrom(t, `echo '${TOO_LONG}' >&2; exit 1`), { files: 1, tooLong: 1 });
});

test('a filesystem whose driver does not support attributes has none; one file without support is an error', async (t) => {
  const refusal = (path: string) => `echo 'getfattr: ${path}: Operation not supported' >&2`;
  assert.deepEqual(await readFrom(t, `${refusal('/root')}; ${refusal('/root/b')}; exit 1`), { files: 1, tooLong: 0 });
  await assert.rejects(readFrom(t, `${refusal('/root/b')}; exit 1`), /getfattr exited 1 \(.*Operation not supported\)/);
  const refused = `${refusal('/root')}; echo 'getfattr: /root/b: Input/output error' >&2; exit 1`;
  await assert.rejects(readFrom(t, refused), /getfattr exited 1 \(.*Input\/output error\)/);
});
