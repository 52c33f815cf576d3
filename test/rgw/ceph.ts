/** A Ceph cluster on one machine with an S3 gateway, as an independent store. It needs neither systemd nor cephx. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../../lab/core/run.ts';

export interface Gateway extends AsyncDisposable {
  url: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}

/** Credentials of the lab's administrator, so that one environment works for EC2 in the lab and S3 in the gateway. */
const CREDENTIALS = {
  accessKeyId: 'AKIALABLABLABLABLAB0',
  secretAccessKey: 'lab-secret-of-the-administrator-0000000',
};

/** Storage classes to add to GLACIER and STANDARD, which gateways have by default. */
const STORAGE_CLASSES = ['DEEP_ARCHIVE', 'STANDARD_IA'];

/** @param directory an empty directory with a short path, because it will contain sockets. */
export async function startGateway(directory: string): Promise<Gateway> {
  const [port, monitorPort] = await freePorts();
  for (const name of ['mon', 'osd', 'log', 'rgw']) mkdirSync(join(directory, name), { recursive: true });
  const cluster = randomUUID();
  writeFileSync(join(directory, 'ceph.conf'), configuration(directory, cluster, port, monitorPort));
  const configured = ['-c', join(directory, 'ceph.conf')];
  try {
    await makeKeys(join(directory, 'keyring'));
    await startMonitor(directory, configured, cluster, monitorPort);
    await startStorage(configured);
    await startService(configured, port);
  } catch (error) {
    await stopAll(directory);
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    credentials: CREDENTIALS,
    [Symbol.asyncDispose]: () => stopAll(directory),
  };
}

/** Returns two free ports, because other runs on this machine may have their own gateways. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')] as const;
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const [first, second] = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return [first ?? 0, second ?? 0];
}

const configuration = (directory: string, cluster: string, port: number, monitorPort: number): string => `
[global]
fsid = ${cluster}
mon host = v1:127.0.0.1:${monitorPort}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 2000
mon data avail crit = 1
mon data avail warn = 2
mon data = ${directory}/mon
mon cluster log file = ${directory}/log/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
run dir = ${directory}
pid file = ${directory}/$name.pid
admin socket = ${directory}/$name.asok
log file = ${directory}/log/$name.log
log to stderr = false
keyring = ${directory}/keyring
[osd]
osd data = ${directory}/osd
osd objectstore = bluestore
bluestore block size = 10737418240
bluestore fsck on mount = false
osd memory target = 939524096
osd memory target autotune = false
osd mclock force run benchmark on init = false
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw data = ${directory}/rgw
rgw enable usage log = false
rgw thread pool size = 64
rgw zone = default
rgw override bucket index max shards = 1
`;

async function makeKeys(keyring: string): Promise<void> {
  const add = (name: string, ...capabilities: string[]) =>
    run([
      'ceph-authtool',
      keyring,
      '--gen-key',
      '-n',
      name,
      ...capabilities.flatMap((text) => ['--cap', ...text.split('=')]),
    ]);
  await run(['ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *']);
  await add('client.admin', 'mon=allow *', 'osd=allow *', 'mgr=allow *');
  await add('client.rgw', 'mon=allow rw', 'osd=allow rwx');
  await add('osd.0', 'mon=allow profile osd', 'osd=allow *');
}

async function startMonitor(directory: string, configured: string[], cluster: string, port: number): Promise<void> {
  const map = join(directory, 'monmap');
  await run(['monmaptool', '--create', '--clobber', '--fsid', cluster, '--addv', 'a', `[v1:127.0.0.1:${port}]`, map]);
  const keyring = ['--keyring', join(directory, 'keyring')];
  await run(['ceph-mon', ...configured, '-i', 'a', '--mkfs', '--monmap', map, ...keyring]);
  await run(['ceph-mon', ...configured, '-i', 'a']);
}

async function startStorage(configured: string[]): Promise<void> {
  const uuid = randomUUID();
  await runAtLast(['ceph', ...configured, 'osd', 'new', uuid, '0']);
  await run(['ceph-osd', ...configured, '-i', '0', '--mkfs', '--osd-uuid', uuid]);
  await runAtLast(['ceph-osd', ...configured, '-i', '0']);
  await run(['ceph', ...configured, 'osd', 'crush', 'add', 'osd.0', '1.0', 'root=default', 'host=here']);
  await until('the storage daemon', async () => {
    const state = JSON.parse(await run(['ceph', ...configured, 'osd', 'stat', '-f', 'json'])) as {
      num_up_osds: number;
    };
    return state.num_up_osds === 1;
  });
}

/** Errors of clients that contact a running monitor, on a busy machine, before it knows its cluster. */
const TOO_EARLY = /wrong fsid|problem getting command descriptions/;

async function runAtLast(argv: [string, ...string[]]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run(argv);
      return;
    } catch (error) {
      if (attempt === 10 || !TOO_EARLY.test(String(error))) throw error;
    }
  }
}

/** Starts the gateway. The user is created first, because a user that is created later finds no zone group. */
async function startService(configured: string[], port: number): Promise<void> {
  const admin = (...argv: string[]) => run(['radosgw-admin', ...configured, '-n', 'client.rgw', ...argv]);
  const { accessKeyId, secretAccessKey } = CREDENTIALS;
  await admin(
    'user',
    'create',
    '--uid',
    'us',
    '--display-name',
    'us',
    '--access-key',
    accessKeyId,
    '--secret-key',
    secretAccessKey,
  );
  const placement = ['--placement-id', 'default-placement', '--storage-class'];
  for (const name of STORAGE_CLASSES) {
    await admin('zonegroup', 'placement', 'add', '--rgw-zonegroup', 'default', ...placement, name);
    await admin(
      'zone',
      'placement',
      'add',
      '--rgw-zone',
      'default',
      ...placement,
      name,
      '--data-pool',
      'default.rgw.buckets.data',
    );
  }
  await run(['radosgw', ...configured, '-n', 'client.rgw']);
  await until('the gateway', () =>
    fetch(`http://127.0.0.1:${port}`).then(
      () => true,
      () => false,
    ),
  );
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; looks < 300; looks++) {
    if (await look()) return;
    await pause(200);
  }
  throw new Error(`${what} did not come up within a minute`);
}

async function stopAll(directory: string): Promise<void> {
  for (const name of ['client.rgw', 'osd.0', 'mon.a']) {
    const pid = pidIn(join(directory, `${name}.pid`));
    if (pid === null) continue;
    process.kill(pid, 'SIGTERM');
    for (let looks = 0; looks < 50 && isAlive(pid); looks++) await pause(100);
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    while (isAlive(pid)) await pause(50);
  }
}

function pidIn(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return isAlive(pid) ? pid : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
