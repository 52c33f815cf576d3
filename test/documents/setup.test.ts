/** The setup of a new machine over an unreliable network. */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

describe('npm packages', () => {
  let folder: string;
  let registry: Server;
  let address: string;
  let tarball: Buffer;
  /** The number of downloads of the package that stall in the middle. */
  let stalls: number;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'snap-to-s3-setup-'));
    tarball = await makePackage(folder);
    registry = createServer((request, response) => answer(request.url ?? '', response)).listen(0, '127.0.0.1');
    await new Promise((resolve) => registry.once('listening', resolve));
    address = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
  });

  after(async () => {
    registry.closeAllConnections();
    await new Promise((resolve) => registry.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  function answer(url: string, response: ServerResponse): void {
    if (!url.endsWith('.tgz')) return void response.end(JSON.stringify(packument(address, tarball)));
    response.setHeader('content-length', tarball.length);
    if (stalls-- > 0) return void response.write(tarball.subarray(0, 100));
    response.end(tarball);
  }

  async function setUp(name: string) {
    const project = await makeProject(join(folder, name), tarball);
    const env = {
      PATH: process.env.PATH,
      HOME: project,
      npm_config_registry: `${address}/`,
      npm_config_cache: join(project, 'cache'),
      npm_config_fetch_timeout: '3000',
      npm_config_fetch_retries: '0',
    };
    const { stdout } = await run(process.execPath, ['scripts/setup.mjs', 'unit', 'node', '-p', '6 * 7'], {
      cwd: project,
      env,
    });
    return { stdout, installed: await readFile(join(project, 'node_modules', 'small', 'index.js'), 'utf8') };
  }

  test('are fetched again if a connection stalls', async () => {
    stalls = 2;
    const { stdout, installed } = await setUp('stalled');
    assert.equal(installed, 'export default 1;\n');
    assert.match(stdout, /npm failed, once more \(2 of 4\)\n.*\(3 of 4\)\n42\n/s);
  });

  test('that never arrive end the setup with the message of npm, and the command is not run', async () => {
    stalls = 100;
    await assert.rejects(setUp('broken'), (error: { code: number; stdout: string; stderr: string }) => {
      assert.equal(error.code, 1);
      assert.match(error.stderr, /timeout/i);
      assert.match(error.stdout, /\(4 of 4\)\n$/);
      return true;
    });
  });
});

async function makePackage(folder: string): Promise<Buffer> {
  await mkdir(join(folder, 'package'));
  await writeFile(
    join(folder, 'package', 'package.json'),
    JSON.stringify({ name: 'small', version: '1.0.0', type: 'module' }),
  );
  await writeFile(join(folder, 'package', 'index.js'), 'export default 1;\n');
  return execFileSync('tar', ['-czf', '-', '-C', folder, 'package']);
}

const integrityOf = (tarball: Buffer) => `sha512-${createHash('sha512').update(tarball).digest('base64')}`;

function packument(address: string, tarball: Buffer) {
  const dist = { tarball: `${address}/small/-/small-1.0.0.tgz`, integrity: integrityOf(tarball) };
  return {
    name: 'small',
    'dist-tags': { latest: '1.0.0' },
    versions: { '1.0.0': { name: 'small', version: '1.0.0', dist } },
  };
}

/** Creates a project with the real setup script, one package, and a lock file without addresses, like ours. */
async function makeProject(project: string, tarball: Buffer): Promise<string> {
  const manifest = { name: 'project', version: '1.0.0', dependencies: { small: '^1.0.0' } };
  const packages = {
    '': manifest,
    'node_modules/small': { version: '1.0.0', integrity: integrityOf(tarball) },
  };
  await mkdir(join(project, 'scripts'), { recursive: true });
  await cp(join(root, 'scripts', 'setup.mjs'), join(project, 'scripts', 'setup.mjs'));
  await writeFile(join(project, 'package.json'), JSON.stringify(manifest));
  await writeFile(
    join(project, 'package-lock.json'),
    JSON.stringify({ name: 'project', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
  );
  return project;
}
