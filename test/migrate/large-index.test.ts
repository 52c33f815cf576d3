/** An index that is too long for one request is uploaded in parts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import { labForTest, recordsOf, runMigrate, runValidate } from '../support/lab.ts';

const FILES = 640;

/** Creates files with random attributes, so that their lines in the index do not compress. */
async function populate(root: string): Promise<void> {
  const notes: string[] = [];
  for (let number = 0; number < FILES; number++) {
    writeFileSync(join(root, `${number}`), '');
    notes.push(`# file: ${join(root, `${number}`)}\nuser.noise=0s${randomBytes(60_000).toString('base64')}\n`);
  }
  const dump = `${root}.attributes`;
  writeFileSync(dump, notes.join('\n'));
  await run(['setfattr', `--restore=${dump}`]);
  await run(['rm', dump]);
}

const DISK = { table: 'none' as const, partitions: [{ content: 'xfs' as const, sizeMiB: 512, populate }] };

for (const isEncrypted of [false, true]) {
  test(`an index of more than 32 MiB${isEncrypted ? ', encrypted' : ''}`, async (t) => {
    const lab = await labForTest(t);
    const home = isEncrypted ? await gpgHome(t) : null;
    if (home) await addKey(home, 'ops@example.com');
    const env = home ? { GNUPGHOME: home } : {};
    await addSnapshotOf(lab, DISK);
    const argv = ['--all', ...(home ? ['--gpg-recipient', 'ops@example.com'] : [])];
    const done = await runMigrate(lab, argv, { env });
    assert.equal(done.code, 0, done.stderr);
    const [object] = (await readManifest(lab)).objects;
    assert.ok((object?.index?.bytes ?? 0) > 32 * 2 ** 20, `${object?.index?.bytes} bytes`);
    assert.match(object?.index?.etag ?? '', /-\d+"?$/);
    const validated = await runValidate(lab, ['--all', '--archive-only', '--json'], { env });
    assert.equal(validated.code, 0, validated.stdout);
    const found = recordsOf(validated).find(({ code }) => code === 'snapshot.validated');
    assert.equal(found?.['members'], FILES + 1);
  });
}
