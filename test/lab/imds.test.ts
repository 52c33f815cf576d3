import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labForTest } from '../support/lab.ts';

test('instance metadata requires a token, and describes the instance, its role and its termination', async (t) => {
  const { lab, control } = await labForTest(t);
  const at = (path: string) => `${lab.endpoints.imds}/latest/${path}`;
  assert.equal((await fetch(at('meta-data/instance-id'))).status, 401);
  const ttl = (seconds: string) => ({ method: 'PUT', headers: { 'x-aws-ec2-metadata-token-ttl-seconds': seconds } });
  assert.equal((await fetch(at('api/token'), ttl('0'))).status, 400);
  assert.equal(
    (await fetch(at('api/token'), { ...ttl('60'), headers: { ...ttl('60').headers, 'x-forwarded-for': '1.2.3.4' } }))
      .status,
    403,
  );
  const token = await (await fetch(at('api/token'), ttl('60'))).text();
  const read = async (path: string) => {
    const response = await fetch(at(path), { headers: { 'x-aws-ec2-metadata-token': token } });
    return { status: response.status, text: await response.text() };
  };
  const document = JSON.parse((await read('dynamic/instance-identity/document')).text) as Record<string, string>;
  assert.deepEqual(
    [document['instanceId'], document['region'], document['accountId']],
    ['i-0123456789abcdef0', 'us-east-1', '123456789012'],
  );
  const role = (await read('meta-data/iam/security-credentials/')).text;
  const credentials = JSON.parse((await read(`meta-data/iam/security-credentials/${role}`)).text) as Record<
    string,
    string
  >;
  assert.equal(credentials['Code'], 'Success');
  assert.ok(credentials['Token'] && Date.parse(credentials['Expiration'] ?? '') > Date.now());
  assert.equal((await read('meta-data/spot/instance-action')).status, 404);
  await control.setSpotAction({ action: 'terminate', time: '2030-01-01T00:00:00Z' });
  assert.match((await read('meta-data/spot/instance-action')).text, /terminate/);
});
