/** Credentials that expire, are missing or are wrong. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, recordsOf, runCli, runMigrate, runProgram } from '../support/lab.ts';

test('credentials that expire during an upload are renewed', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  await lab.control.setRoleLife(12);
  const action = { kind: 'latency', milliseconds: 15_000 } as const;
  await lab.control.script({ service: 's3', operation: 'UploadPart', action });
  const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _key, ...env } = lab.env;
  const done = await runMigrate({ ...lab, env }, ['--all', '--validate']);
  assert.equal(done.code, 0, done.stderr);
  const calls = await lab.control.calls();
  const part = calls.findIndex(({ operation }) => operation === 'UploadPart');
  const renewed = calls.slice(part).filter(({ details }) => details['path']?.includes('security-credentials'));
  assert.ok(renewed.length > 0, 'credentials were asked for again');
});

test('expired credentials are reported as such', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const expires = new Date(Date.now() - 60_000).toISOString();
  const { accessKeyId, secretAccessKey, sessionToken = '' } = await lab.control.addIdentity('old', null, expires);
  const env = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  };
  const done = await runMigrate(lab, ['--all'], { env });
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /could not use bucket backups: ExpiredToken/);
  assert.match(done.stderr, /log in again, or get new credentials/);
});

test('a missing profile is refused, even if other credentials exist', async (t) => {
  const lab = await labForTest(t);
  for (const [argv, env] of [
    [['--profile', 'nosuch'], {}],
    [[], { AWS_PROFILE: 'nosuch' }],
    [[], { AWS_DEFAULT_PROFILE: 'nosuch' }],
  ] as const) {
    const done = await runCli({ ...lab.env, ...env }, ['list', '--bucket', BUCKET, ...argv]);
    assert.equal(done.code, 2, done.stderr);
    assert.match(done.stderr, /there is no profile "nosuch" in the AWS configuration files/);
  }
  assert.deepEqual(await lab.control.calls(), []);
});

test('AWS_DEFAULT_PROFILE names the profile, after AWS_PROFILE, as for the AWS CLI', async (t) => {
  const lab = await labForTest(t);
  const { AWS_ACCESS_KEY_ID: id = '', AWS_SECRET_ACCESS_KEY: secret = '', AWS_SESSION_TOKEN, ...env } = lab.env;
  assert.equal(AWS_SESSION_TOKEN, undefined);
  mkdirSync(join(lab.directory, '.aws'));
  const section = (name: string, key: string) =>
    `[${name}]\naws_access_key_id = ${id}\naws_secret_access_key = ${key}\n`;
  const credentials = section('right', secret) + section('wrong', 'wrong') + section('default', 'wrong');
  writeFileSync(join(lab.directory, '.aws', 'credentials'), credentials);
  for (const [named, isRight] of [
    [{}, false],
    [{ AWS_PROFILE: 'right' }, true],
    [{ AWS_DEFAULT_PROFILE: 'right' }, true],
    [{ AWS_PROFILE: 'right', AWS_DEFAULT_PROFILE: 'wrong' }, true],
    [{ AWS_PROFILE: 'wrong', AWS_DEFAULT_PROFILE: 'right' }, false],
  ] as const) {
    const all = { ...env, ...named };
    const listed = await runCli(all, ['list', '--bucket', BUCKET]);
    const url = ['--endpoint-url', env['AWS_ENDPOINT_URL_S3'] ?? ''];
    const cli = await runProgram(['/usr/bin/aws', 's3api', 'list-objects-v2', '--bucket', BUCKET, ...url], {
      env: all,
    });
    const accepted = [listed, cli].map(({ stderr }) => !stderr.includes('SignatureDoesNotMatch'));
    assert.deepEqual(accepted, [isRight, isRight], JSON.stringify([named, listed, cli]));
    assert.deepEqual([listed.code === 10, cli.code === 0], accepted, 'the bucket is empty');
  }
});

/** Every combination of some of the settings. */
const combinationsOf = <T>([first, ...rest]: readonly T[]): T[][] =>
  first === undefined ? [[]] : combinationsOf(rest).flatMap((each) => [each, [first, ...each]]);

test('the credentials are those that the AWS CLI uses, whatever is set', async (t) => {
  const lab = await labForTest(t);
  const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', ...env } = lab.env;
  let credentials = '';
  for (const name of ['default', 'one', 'two', 'three']) {
    const { accessKeyId, secretAccessKey } = await lab.control.addIdentity(name, null);
    credentials += `[${name}]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  }
  mkdirSync(join(lab.directory, '.aws'));
  writeFileSync(join(lab.directory, '.aws', 'credentials'), credentials);
  for (const settings of combinationsOf<{ env?: Record<string, string>; argv?: string[] }>([
    { argv: ['--profile', 'one'] },
    { env: { AWS_PROFILE: 'two' } },
    { env: { AWS_DEFAULT_PROFILE: 'three' } },
    { env: { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } },
  ])) {
    const all: Record<string, string> = Object.assign({}, env, ...settings.map((each) => each.env));
    const argv = settings.flatMap((each) => each.argv ?? []);
    const cli = await runProgram(['/usr/bin/aws', 'configure', 'list', ...argv], { env: all });
    const [, expected] = /access_key +\*+(\w{4}) /.exec(cli.stdout) ?? assert.fail(cli.stdout + cli.stderr);
    const listed = await runCli(all, ['list', '--bucket', BUCKET, ...argv]);
    assert.equal(listed.code, 10, listed.stderr);
    const used = (await lab.control.calls()).at(-1)?.accessKeyId;
    assert.equal(used?.slice(-4), expected, JSON.stringify(settings));
    assert.doesNotMatch(listed.stderr, /credential|AWS_PROFILE/, 'the SDK does not warn');
  }
});

test('a wrong key and a wrong secret are distinguished, for S3 and EC2', async (t) => {
  const lab = await labForTest(t);
  for (const [env, name, advice] of [
    [{ AWS_SECRET_ACCESS_KEY: 'wrong' }, /SignatureDoesNotMatch/, /check AWS_SECRET_ACCESS_KEY/],
    [{ AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' }, /InvalidAccessKeyId/, /check AWS_ACCESS_KEY_ID/],
  ] as const) {
    const done = await runMigrate(lab, ['--all', '--quiet'], { env });
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, /could not use bucket backups: /);
    for (const says of [name, advice]) assert.match(done.stderr, says);
    assert.doesNotMatch(done.stderr, /role/);
    const examined = await runCli({ ...lab.env, ...env }, ['doctor', '--bucket', BUCKET, '--json']);
    const problem = recordsOf(examined).find(({ check }) => check === 'snapshots');
    assert.match(String(problem?.['detail']), /AuthFailure/);
    assert.match(String(problem?.['hint']), /AWS_SECRET_ACCESS_KEY/);
  }
});
