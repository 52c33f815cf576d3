/** The warming thread closes each file that it opens. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { temporaryDirectory } from '../../support/lab.ts';

const MODULE = join(import.meta.dirname, '..', '..', '..', 'src', 'streams', 'warming-thread.ts');

/** Runs the thread where every read fails, as on a bad disk, and posts how many reads failed and which files are open. */
const ON_BAD_DISK = `
const fs = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
const { openSync, closeSync, readSync } = fs;
const open = new Set();
let failed = 0;
fs.openSync = (...order) => {
  const descriptor = openSync(...order);
  if (String(order[0]).startsWith(workerData.root)) open.add(descriptor);
  return descriptor;
};
fs.closeSync = (descriptor) => {
  closeSync(descriptor);
  open.delete(descriptor);
};
fs.readSync = (descriptor, ...order) => {
  if (!open.has(descriptor)) return readSync(descriptor, ...order);
  failed++;
  throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' });
};
require('node:module').syncBuiltinESMExports();
import(workerData.module).then(() => parentPort.postMessage({ failed, open: open.size }));
`;

test('a file whose read fails is closed', async (t) => {
  const root = temporaryDirectory(t);
  const names = ['one', 'two', 'three'];
  for (const name of names) writeFileSync(join(root, name), name);
  const compared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workerData = { module: pathToFileURL(MODULE).href, root, compared };
  const worker = new Worker(ON_BAD_DISK, { eval: true, workerData });
  const [seen] = await once(worker, 'message');
  assert.deepEqual(seen, { failed: names.length, open: 0 });
  await worker.terminate();
});
