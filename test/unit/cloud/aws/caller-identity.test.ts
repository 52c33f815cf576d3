/** Whether STS is called depends on the endpoints, and is decided without a request. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostOutsideAws } from '../../../../src/cloud/aws/caller-identity.ts';
import { type AwsSettings, s3Client, stsClient } from '../../../../src/cloud/aws/clients.ts';
import { networkOf } from '../../../../src/cloud/aws/network.ts';

async function elsewhere(settings: Partial<AwsSettings>, env: Record<string, string> = {}): Promise<string | null> {
  const before = process.env;
  process.env = { PATH: before['PATH'] ?? '', ...env };
  const common = { region: 'eu-west-1', forcePathStyle: false, callTimeout: 1, network: networkOf({}) };
  const all = { ...common, onRetry: () => {}, ...settings };
  const [sts, s3] = [stsClient(all), s3Client(all, 'control')];
  try {
    return await hostOutsideAws(sts, s3, 'backups');
  } finally {
    sts.destroy();
    s3.destroy();
    process.env = before;
  }
}

test('buckets at AWS: STS is called', async () => {
  for (const region of ['eu-west-1', 'us-east-1', 'cn-north-1', 'us-gov-west-1', 'eusc-de-east-1', 'us-iso-east-1'])
    assert.equal(await elsewhere({ region }), null, region);
  const names = ['https://s3.eu-west-1.amazonaws.com', 'https://s3-fips.eu-west-1.amazonaws.com', DUALSTACK, GATEWAY];
  for (const s3Endpoint of names) assert.equal(await elsewhere({ s3Endpoint }), null, s3Endpoint);
  const env = { AWS_USE_DUALSTACK_ENDPOINT: 'true', AWS_USE_FIPS_ENDPOINT: 'true' };
  assert.equal(await elsewhere({ region: 'us-east-1' }, env), null);
});

const DUALSTACK = 'https://s3.dualstack.eu-west-1.amazonaws.com';
const GATEWAY = 'https://bucket.vpce-0a1b2c3d-4e5f6a7b.s3.eu-west-1.vpce.amazonaws.com';

const OTHERS: Record<string, string> = {
  'http://127.0.0.1:9000': '127.0.0.1:9000',
  'https://s3.example.com': 's3.example.com',
  'https://s3.eu-west-1.amazonaws.com.example.com': 's3.eu-west-1.amazonaws.com.example.com',
  'https://s3-store-1.eu-west-1.elb.amazonaws.com': 's3-store-1.eu-west-1.elb.amazonaws.com',
  'https://s3-store-1.elb.eu-west-1.amazonaws.com': 's3-store-1.elb.eu-west-1.amazonaws.com',
  'https://ec2-192-0-2-1.compute-1.amazonaws.com': 'ec2-192-0-2-1.compute-1.amazonaws.com',
};

test('other stores: AWS is not called, wherever the store is configured, but an STS of the store is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [s3Endpoint, host] of Object.entries(OTHERS)) {
    assert.equal(await elsewhere({ s3Endpoint, forcePathStyle: true }), host);
    assert.equal(await elsewhere({ forcePathStyle: true }, { AWS_ENDPOINT_URL_S3: s3Endpoint }), host);
    const own = { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:9001' };
    assert.equal(await elsewhere({ s3Endpoint, forcePathStyle: true }, own), null);
    assert.equal(await elsewhere({ forcePathStyle: true }, { AWS_ENDPOINT_URL: s3Endpoint }), null, 'both are there');
  }
  const file = join(directory, 'config');
  writeFileSync(file, '[default]\nservices = ours\n[services ours]\ns3 =\n  endpoint_url = http://127.0.0.1:9002\n');
  assert.equal(await elsewhere({ forcePathStyle: true }, { AWS_CONFIG_FILE: file }), '127.0.0.1:9002');
});
