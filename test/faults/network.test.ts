/** Connections to AWS: proxies, certificates, and one connection for each concurrent request. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { run } from '../../lab/core/run.ts';
import { awsAnalyzeServices, awsServices, priceLists } from '../../src/aws-services.ts';
import { ebsClient } from '../../src/cloud/aws/clients.ts';
import { type Network, networkOf } from '../../src/cloud/aws/network.ts';
import { GetSnapshotBlockCommand } from '../../src/cloud/aws/sdk.ts';
import { silentHost } from '../../src/events.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runCli, type TestLab, temporaryDirectory } from '../support/lab.ts';

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Makes the server listen on loopback until the test ends. */
async function serving<S extends Server>(t: TestContext, server: S): Promise<S> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.on('connection', (socket) => t.after(() => socket.destroy()));
  t.after(() => server.close());
  return server;
}

/** Replaces the environment of this process, which the SDK reads, until the test ends. */
function withEnvironment(t: TestContext, env: Record<string, string>): void {
  const before = process.env;
  process.env = { ...env };
  t.after(() => {
    process.env = before;
  });
}

/** With these variables, the SDK does not look for credentials or an instance anywhere else. */
const KEYS = {
  AWS_ACCESS_KEY_ID: 'AKIA',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
};

test('each of many concurrent requests has its own connection', async (t) => {
  const together = 200;
  const waiting: ServerResponse[] = [];
  // No request is answered before all have arrived.
  const server = createServer((_request, response) => {
    if (waiting.push(response) < together) return;
    for (const each of waiting) each.writeHead(200, { 'x-amz-Data-Length': '1', 'x-amz-Checksum': 'x' }).end('.');
  });
  await serving(t, server);
  withEnvironment(t, { ...KEYS, AWS_ENDPOINT_URL_EBS: `http://127.0.0.1:${portOf(server)}` });
  const settings = { region: 'us-east-1', forcePathStyle: false, callTimeout: 60, network: networkOf({}) };
  const retried: string[] = [];
  const client = ebsClient({ ...settings, onRetry: ({ because }) => retried.push(because) }, () => {});
  t.after(() => client.destroy());
  const command = () => new GetSnapshotBlockCommand({ SnapshotId: 'snap-1', BlockIndex: 0, BlockToken: 'x' });
  await Promise.all(Array.from({ length: together }, () => client.send(command())));
  assert.deepEqual(retried, []);
});

interface World {
  lab: TestLab;
  /** `HOST:PORT` of each requested tunnel. */
  tunnels: string[];
  /** URLs that were requested without a tunnel. */
  plain: string[];
  env: Record<string, string>;
}

/**
 * Serves the lab's services with TLS under names that only a proxy can resolve.
 * @param others URLs of additional services, by name.
 */
async function behindProxy(t: TestContext, others: Record<string, string> = {}): Promise<World> {
  const lab = await labForTest(t);
  const { ec2, ebs, s3, sts, pricing } = lab.lab.endpoints;
  const services: Record<string, string> = { ec2, ebs, s3, sts, pricing, ...others };
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(lab.directory, name)) as [
    string,
    string,
  ];
  const names = ['-subj', '/CN=snap-to-s3 test', '-addext', 'subjectAltName=DNS:*.aws.test,IP:127.0.0.1'];
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await run(['openssl', 'req', ...made, '-keyout', key, '-out', certificate, ...names]);
  const forward = (socket: TLSSocket) => {
    const name = String(socket.servername).split('.', 1)[0] ?? '';
    const inner = connect(Number(new URL(services[name] ?? s3).port), '127.0.0.1');
    t.after(() => inner.destroy());
    for (const end of [socket, inner]) end.on('error', () => end.destroy());
    socket.pipe(inner).pipe(socket);
  };
  const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, forward);
  await serving(t, tls);
  const tunnels: string[] = [];
  const plain: string[] = [];
  const proxy = createServer((request, response) => {
    plain.push(request.url ?? '');
    response.writeHead(502).end();
  });
  proxy.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    const inner = connect(portOf(tls), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    t.after(() => inner.destroy());
    for (const end of [socket, inner]) end.on('error', () => end.destroy());
    socket.pipe(inner).pipe(socket);
    t.after(() => socket.destroy());
  });
  await serving(t, proxy);
  const url = `http://user:password@127.0.0.1:${portOf(proxy)}`;
  const endpoints = Object.keys(services).map((each) => [
    `AWS_ENDPOINT_URL_${each.toUpperCase()}`,
    `https://${each}.aws.test`,
  ]);
  const env = { ...lab.env, ...Object.fromEntries(endpoints), AWS_CA_BUNDLE: certificate };
  return {
    lab,
    tunnels,
    plain,
    env: { ...env, HTTPS_PROXY: url, HTTP_PROXY: url, DIRECT: `https://127.0.0.1:${portOf(tls)}` },
  };
}

test('every client uses the proxy and trusts the bundle, and the metadata service is called directly', async (t) => {
  const { lab, tunnels, plain, env } = await behindProxy(t);
  await addSnapshotOf(lab);
  const { AWS_REGION: _region, AWS_DEFAULT_REGION: _other, ...noRegion } = env;
  withEnvironment(t, noRegion);
  const call = { signal: new AbortController().signal };
  const choices = { bucket: BUCKET, storageClass: 'STANDARD' };
  // The region is that of the instance, which only the metadata service knows.
  const services = await awsServices(choices, silentHost, process.env);
  assert.equal(services.region, 'us-east-1');
  const [snapshot] = await services.snapshots.tagged('snap-to-s3', 'migrate', call);
  await services.blocks.list(snapshot?.id ?? '', 0, call).next();
  await services.store.check(call);
  await services.callerIdentity(call);
  const { inventory } = await awsAnalyzeServices({}, silentHost, process.env);
  await inventory.volumes('us-east-1', call);
  const lists = await priceLists({}, process.env, () => {});
  await lists.ofRegion('us-east-1', call);
  const reached = ['ebs', 'ec2', 'pricing', 's3', 'sts'].map((name) => `${name}.aws.test:443`);
  assert.deepEqual([...new Set(tunnels)].sort(), reached);
  assert.deepEqual(plain, []);
});

test('credential services are also called through the proxy', async (t) => {
  const keys: Record<string, unknown> = { expiration: Date.now() + 3_600_000 };
  const portal = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ roleCredentials: keys }));
  });
  await serving(t, portal);
  const { lab, env, tunnels } = await behindProxy(t, { sso: `http://127.0.0.1:${portOf(portal)}` });
  const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...keyless } = env;
  Object.assign(keys, await lab.control.addIdentity('reader', null, new Date(Date.now() + 3_600_000).toISOString()));
  const url = 'https://start.aws.test';
  const account = 'sso_account_id = 123456789012\nsso_role_name = reader\nsso_region = us-east-1\n';
  const home = homeWith(t, `[default]\nsso_start_url = ${url}\n${account}`);
  const cache = join(home['HOME'] ?? '', '.aws', 'sso', 'cache');
  mkdirSync(cache, { recursive: true });
  const token = { accessToken: 'token', expiresAt: new Date(Date.now() + 3_600_000).toISOString() };
  writeFileSync(join(cache, `${createHash('sha1').update(url).digest('hex')}.json`), JSON.stringify(token));
  const done = await runCli({ ...keyless, ...home }, ['list', '--bucket', BUCKET]);
  assert.equal(done.code, 10, done.stderr);
  assert.equal(tunnels[0], 'sso.aws.test:443');
});

test('the program handles proxy exceptions, untrusted certificates, and invalid proxies and CA bundles', async (t) => {
  const { env, tunnels } = await behindProxy(t);
  const { DIRECT = '', AWS_CA_BUNDLE: bundle = '', ...untrusting } = env;
  const list = (changed: Record<string, string>) => runCli({ ...untrusting, ...changed }, ['list', '--bucket', BUCKET]);
  const trusting = { AWS_CA_BUNDLE: bundle };
  const direct = await list({ ...trusting, AWS_ENDPOINT_URL_S3: DIRECT, NO_PROXY: 'localhost,127.0.0.1' });
  assert.equal(direct.code, 10, direct.stderr);
  assert.deepEqual(
    tunnels.filter((name) => name.startsWith('127.')),
    [],
  );
  const strange = await list({});
  assert.equal(strange.code, 1);
  assert.match(strange.stderr, /could not use bucket backups|could not list s3:\/\/backups\//);
  assert.match(strange.stderr, /certificate/);
  for (const [changed, says] of [
    [{ AWS_CA_BUNDLE: '/nowhere.pem' }, /cannot use the CA bundle \/nowhere.pem/],
    [
      { ...trusting, HTTPS_PROXY: 'socks5://user:hunter2@127.0.0.1:1080' },
      /HTTPS_PROXY is not the URL of an HTTP proxy/,
    ],
  ] as const) {
    const refused = await list(changed);
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, says);
    assert.doesNotMatch(refused.stderr, /hunter2/);
  }
});

test('proxies and exceptions are read as curl and the AWS CLI read them', () => {
  const proxies = (env: Record<string, string>): Network['proxies'] => networkOf(env).proxies;
  assert.deepEqual(proxies({ HTTP_PROXY: '', no_proxy: '' }), {});
  assert.deepEqual(proxies({ https_proxy: 'gate.test:3128' }), { HTTPS_PROXY: 'http://gate.test:3128/' });
  const listed = 'Example.com, .corp.test,*.x.test,10.0.0.1,10.0.0.1-10.0.0.9,host:8080,*, ';
  assert.deepEqual(proxies({ NO_PROXY: listed }), {
    NO_PROXY: 'example.com,.example.com,.corp.test,*.x.test,10.0.0.1,10.0.0.1-10.0.0.9,host:8080,*',
  });
});

/** Returns the environment of a home directory with this AWS configuration file. */
function homeWith(t: TestContext, config: string): Record<string, string> {
  const HOME = temporaryDirectory(t);
  mkdirSync(join(HOME, '.aws'));
  writeFileSync(join(HOME, '.aws', 'config'), config);
  return { HOME };
}

test('the region comes from the flag, the environment or the profile', async (t) => {
  const home = homeWith(t, '[default]\nregion = eu-north-1\n[profile far]\nregion = ap-south-1\n');
  withEnvironment(t, { ...KEYS, ...home });
  const regionOf = async (choices: { region?: string; profile?: string }, env: Record<string, string> = {}) => {
    const all = { ...choices, bucket: BUCKET, storageClass: 'STANDARD' };
    return (await awsServices(all, silentHost, { ...process.env, ...env })).region;
  };
  assert.equal(await regionOf({}), 'eu-north-1');
  assert.equal(await regionOf({ profile: 'far' }), 'ap-south-1');
  assert.equal(await regionOf({}, { AWS_PROFILE: 'far' }), 'ap-south-1');
  assert.equal(await regionOf({}, { AWS_DEFAULT_REGION: 'eu-west-2' }), 'eu-west-2');
  assert.equal(await regionOf({}, { AWS_DEFAULT_REGION: 'eu-west-2', AWS_REGION: 'eu-west-3' }), 'eu-west-3');
  assert.equal(await regionOf({ region: 'eu-west-1' }, { AWS_REGION: 'eu-west-3' }), 'eu-west-1');
});
