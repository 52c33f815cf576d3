/** STS returns the identity of the caller to the SDK and to the AWS CLI. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient, type STSClientConfig } from '@aws-sdk/client-sts';
import { credentialsOf, labForTest, runProgram } from '../support/lab.ts';

test('GetCallerIdentity: users and roles with any permissions, and refusals', async (t) => {
  const { lab, control, env } = await labForTest(t);
  const as = (credentials: NonNullable<STSClientConfig['credentials']>) => {
    const client = new STSClient({ region: 'us-east-1', endpoint: lab.endpoints.sts, credentials, maxAttempts: 1 });
    t.after(() => client.destroy());
    return client;
  };
  const ask = (credentials: NonNullable<STSClientConfig['credentials']>) =>
    as(credentials).send(new GetCallerIdentityCommand({}));
  const nobody = { Statement: [{ Effect: 'Deny' as const, Action: '*', Resource: '*' }] };
  const user = await control.addIdentity('auditor', nobody);
  const { Arn, Account, UserId } = await ask(user);
  assert.deepEqual([Arn, Account], ['arn:aws:iam::123456789012:user/auditor', '123456789012']);
  assert.match(UserId ?? '', /^AIDA/);
  const soon = new Date(Date.now() + 60_000).toISOString();
  const { sessionToken = '', ...keys } = await control.addIdentity('session', nobody, soon);
  const role = await ask({ ...keys, sessionToken });
  assert.equal(role.Arn, 'arn:aws:sts::123456789012:assumed-role/lab/session');
  assert.match(role.UserId ?? '', /^AROA\w+:session$/);

  await assert.rejects(ask({ ...user, accessKeyId: 'AKIANOBODY' }), { name: 'InvalidClientTokenId' });
  await assert.rejects(ask({ ...user, secretAccessKey: 'guess' }), { name: 'SignatureDoesNotMatch' });
  const old = await control.addIdentity('old', null, new Date(Date.now() - 1000).toISOString());
  await assert.rejects(ask({ ...old, sessionToken: old.sessionToken ?? '' }), { name: 'ExpiredToken' });
  const assume = new AssumeRoleCommand({ RoleArn: 'arn:aws:iam::123456789012:role/lab', RoleSessionName: 'x' });
  await assert.rejects(as(credentialsOf(env)).send(assume), { name: 'InvalidAction' });

  const argv = ['/usr/bin/aws', '--endpoint-url', lab.endpoints.sts, 'sts', 'get-caller-identity'];
  const done = await runProgram(argv, { env });
  assert.equal(done.code, 0, done.stderr);
  assert.equal(JSON.parse(done.stdout).Arn, 'arn:aws:iam::123456789012:user/administrator');
});
