/** Requests to the metadata service end after any kind of failure, and let the process exit. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

const MODULE = join(import.meta.dirname, '../../../../../src/cloud/aws/instance/metadata-service.ts');

const ASK = `import { fetchMetadata } from ${JSON.stringify(MODULE)};
  console.log(await fetchMetadata('/latest/x', process.argv[1]).catch(({ message }) => message));`;

const ANSWERS: [string, (response: ServerResponse) => void, RegExp][] = [
  ['an answer', (response) => response.end('all is well'), /^all is well$/],
  ['a refusal', (response) => response.writeHead(403).end('no'), /^the instance metadata service answered HTTP 403$/],
  ['half of an answer', (response) => response.writeHead(200, { 'content-length': 900 }).write('half'), /abort/],
  [
    'a truncated answer',
    (response) =>
      response.writeHead(200, { 'content-length': 900 }).write('half', () => response.socket?.destroy()) && undefined,
    /abort/,
  ],
  ['no answer', () => {}, /abort/],
];

for (const [what, answer, expected] of ANSWERS) {
  test(`${what}, over a connection that the service never closes`, async (t) => {
    const server = createServer({ keepAliveTimeout: 0 }, ({ method }, response) =>
      method === 'PUT' ? response.end('token') : answer(response),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', ASK, endpoint], { timeout: 300_000 });
    assert.match(stdout.trimEnd(), expected);
  });
}
