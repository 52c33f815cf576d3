/** Encrypted archives are validated with the private key or a session key, and not without either. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keyEnding, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import {
  BUCKET,
  labForTest,
  recordsOf,
  runCli,
  runMigrate,
  runProgram,
  runValidate,
  type TestLab,
} from '../support/lab.ts';
import { bytesOf, replaceObject } from '../support/tamper.ts';

async function encrypted(t: TestContext, argv: string[] = []) {
  const lab = await labForTest(t);
  const home = await gpgHome(t);
  await addKey(home, 'ops@example.com');
  const { snapshotId } = await addSnapshotOf(lab);
  const env = { GNUPGHOME: home };
  const done = await runMigrate(lab, ['--all', '--gpg-recipient', 'ops@example.com', ...argv], { env });
  assert.equal(done.code, 0, done.stderr);
  return { lab, home, env, snapshotId };
}

/** Returns the script in docs/encryption.md that extracts a session key. */
function documentedScript(): string {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'encryption.md'), 'utf8');
  const found = /<!-- session key -->\s*```sh\n([\s\S]*?)```/.exec(text);
  assert.ok(found?.[1], 'docs/encryption.md has no script');
  return found[1];
}

async function sessionKeyOf(lab: TestLab, env: Record<string, string>): Promise<string> {
  const key = await keyEnding(lab, '.lz4.gpg');
  const script = documentedScript().replace('BUCKET', BUCKET).replace('KEY', key);
  const programs = awsForLab(lab);
  const PATH = `${programs}:${lab.env['PATH']}`;
  const done = await runProgram(['bash', '-c', `cd "$TMPDIR"\n${script}`], { env: { ...lab.env, ...env, PATH } });
  const found = /\d+:[0-9A-F]{32,64}/.exec(done.stdout)?.[0];
  assert.ok(found, done.stdout + done.stderr);
  return found;
}

/** Returns the directory of an `aws` that finds the lab. Debian's own AWS CLI is too old to find it by itself. */
function awsForLab(lab: TestLab): string {
  const directory = join(lab.directory, 'aws');
  mkdirSync(directory);
  const script = `#!/bin/sh\nexec /usr/bin/aws --endpoint-url '${lab.lab.endpoints.s3}' "$@"\n`;
  writeFileSync(join(directory, 'aws'), script, { mode: 0o755 });
  return directory;
}

test('with the private key in the keyring, the snapshot is tagged, and no hash of the content is recorded', async (t) => {
  const { lab, env, snapshotId } = await encrypted(t);
  const done = await runValidate(lab, ['--all'], { env });
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  const { objects, validatedAt } = await readManifest(lab);
  assert.ok(validatedAt);
  assert.deepEqual([...new Set(objects.map(({ plainSha256 }) => plainSha256))], [null]);
});

test('migrate --validate of an encrypted archive records no hash of the content', async (t) => {
  const { lab, snapshotId } = await encrypted(t, ['--validate']);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  const { objects } = await readManifest(lab);
  assert.deepEqual([...new Set(objects.map(({ plainSha256 }) => plainSha256))], [null]);
});

test('the session key from the documented command works, however it is passed', async (t) => {
  const { lab, env, snapshotId } = await encrypted(t);
  const sessionKey = await sessionKeyOf(lab, env);
  const nobody = { GNUPGHOME: await gpgHome(t) };
  const file = join(lab.directory, 'session-key');
  writeFileSync(file, `${sessionKey}\n`, { mode: 0o600 });
  const ways = [
    { argv: ['--gpg-session-key', `@${file}`], env: nobody },
    { argv: ['--gpg-session-key', '-'], env: nobody, input: sessionKey },
    { argv: [], env: { ...nobody, SNAP_TO_S3_GPG_SESSION_KEY: sessionKey } },
    { argv: ['--gpg-session-key', sessionKey], env: nobody },
  ];
  for (const { argv, ...options } of ways) {
    const seen: string[] = [];
    const look = () => seen.push(...secretsShown(sessionKey));
    const done = await runValidate(lab, ['--snapshots', snapshotId, '--json', ...argv], { ...options, onLine: look });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    assert.ok(!`${done.stdout}${done.stderr}`.includes(sessionKey.split(':')[1] ?? ''));
    assert.deepEqual(seen, [], 'the session key was seen among the arguments of a process');
    const validated = recordsOf(done).find(({ code }) => code === 'snapshot.validated');
    assert.match(String(validated?.['except']), /the sealed description of the disk/);
  }
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'content-validated');
  assert.equal((await readManifest(lab)).validatedAt, null);
  const full = await runValidate(lab, ['--snapshots', snapshotId], { env });
  assert.equal(full.code, 0, full.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
});

test('an image of the whole disk is fully validated with a session key', async (t) => {
  const { lab, env, snapshotId } = await encrypted(t, ['--dd']);
  const argv = ['--snapshots', snapshotId, '--json', '--gpg-session-key', await sessionKeyOf(lab, env)];
  const done = await runValidate(lab, argv, { env: { GNUPGHOME: await gpgHome(t) } });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.deepEqual(recordsOf(done).find(({ code }) => code === 'snapshot.validated')?.['except'], []);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
});

/** Returns the command lines of all processes whose arguments contain the session key. */
function secretsShown(sessionKey: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return text.includes(sessionKey) ? [text] : [];
      } catch {
        return [];
      }
    });
}

test('a missing key, a wrong session key and a missing gpg each lead to one clear message', async (t) => {
  const { lab, env, snapshotId } = await encrypted(t);
  const nobody = { GNUPGHOME: await gpgHome(t) };
  const key = await sessionKeyOf(lab, env);
  const wrong = key.replace(/:.*/, (rest) => `:${'0'.repeat(rest.length - 1)}`);
  const gpgLess = join(lab.directory, 'programs');
  mkdirSync(gpgLess);
  for (const directory of ['/bin', '/sbin', '/usr/bin', '/usr/sbin']) {
    for (const name of readdirSync(directory)) {
      if (name === 'gpg') continue;
      try {
        symlinkSync(join(directory, name), join(gpgLess, name));
      } catch {}
    }
  }
  const cases = [
    { env: nobody, argv: [], code: 2, says: /cannot be decrypted: .*[Nn]o secret key/ },
    { env: nobody, argv: [`--gpg-session-key=${wrong}`], code: 2, says: /cannot be decrypted/ },
    { env: { ...env, PATH: gpgLess }, argv: [], code: 1, says: /gpg is not installed|not installed: gpg/ },
    { env: nobody, argv: ['--gpg-session-key', 'nonsense'], code: 2, says: /is not a session key/ },
  ];
  for (const { env: given, argv, code, says } of cases) {
    const done = await runValidate(lab, ['--snapshots', snapshotId, ...argv], { env: given });
    assert.equal(done.code, code, done.stderr);
    assert.match(done.stderr, says);
    assert.match(done.stderr, /what to do: /);
    assert.ok(!done.stderr.includes('nonsense'));
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
  }
  const several = await runValidate(lab, ['--all', `--gpg-session-key=${key}`]);
  assert.equal(several.code, 2, several.stderr);
});

test('a flipped bit in encrypted data or its header is reported as damage, not as a missing key', async (t) => {
  const { lab, env, snapshotId } = await encrypted(t);
  const [object, index] = [await keyEnding(lab, '.tar.lz4.gpg'), await keyEnding(lab, '.index.zst.gpg')];
  const nobody = { GNUPGHOME: await gpgHome(t) };
  // These bytes are in the id of the key, in the encrypted session key, and in the data.
  const { length } = await bytesOf(lab, object);
  for (const place of [7, 200, length - 100]) {
    const bytes = await bytesOf(lab, object);
    await replaceObject(lab, object, withFlip(bytes, place));
    const done = await runValidate(lab, ['--snapshots', snapshotId, '--json'], { env });
    assert.equal(done.code, 12, `${place}: ${done.stdout}`);
    assert.ok(recordsOf(done).some(({ code }) => code === 'snapshot.validated'));
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'migrated');
    const restored = await runRestore(lab, snapshotId, ['--no-index'], env);
    assert.equal(restored.code, 12, `${place}: ${restored.stderr}`);
    await replaceObject(lab, object, bytes);
  }
  const missing = await runRestore(lab, snapshotId, ['--no-index'], nobody);
  assert.equal(missing.code, 2, missing.stderr);
  const bytes = await bytesOf(lab, index);
  for (const place of [7, 200]) {
    await replaceObject(lab, index, withFlip(bytes, place));
    const alone = await runValidate(lab, ['--archive-only', '--snapshots', snapshotId], { env });
    assert.equal(alone.code, 12, `${place}: ${alone.stderr}`);
  }
  await replaceObject(lab, index, bytes);
  const manifest = await keyEnding(lab, '.manifest.json');
  const content = JSON.parse((await bytesOf(lab, manifest)).toString());
  const sealed = withFlip(Buffer.from(content.sealed, 'base64'), 200).toString('base64');
  await replaceObject(lab, manifest, Buffer.from(JSON.stringify({ ...content, sealed })));
  const described = await runValidate(lab, ['--snapshots', snapshotId], { env });
  assert.equal(described.code, 1, described.stderr);
  assert.match(described.stderr, /manifest\.json: its sealed part is damaged/);
});

function withFlip(bytes: Buffer, place: number): Buffer {
  const damaged = Buffer.from(bytes);
  damaged[place] = (damaged[place] ?? 0) ^ 1;
  return damaged;
}

async function runRestore(lab: TestLab, snapshotId: string, argv: string[], env: Record<string, string>) {
  const into = join(lab.directory, 'restored');
  const done = await runCli({ ...lab.env, ...env }, [
    ...['restore', snapshotId, '--bucket', BUCKET, '--to-dir', into],
    ...argv,
  ]);
  rmSync(into, { recursive: true, force: true });
  return done;
}
