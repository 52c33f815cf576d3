/** Small files between large ones of noise, which no compressor changes, and damage to the noise in the bucket. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keysIn } from '../archives.ts';
import { BUCKET, type RunOptions, recordsOf, runCli, type TestLab } from '../lab.ts';
import { bytesOf, replaceObject } from '../tamper.ts';

/** The content of `noise-1` and `noise-2`. */
export const NOISE: readonly Buffer[] = [randomBytes(24_000_000), randomBytes(12_000_000)];

/** The paths of the small files. */
export const SMALL_FILES = ['etc/hostname', 'etc/nginx'] as const;

export async function makeNoisyFiles(directory: string): Promise<void> {
  mkdirSync(join(directory, 'etc', 'nginx'), { recursive: true });
  for (const [index, bytes] of NOISE.entries()) {
    writeFileSync(join(directory, `noise-${index + 1}`), bytes);
    writeFileSync(join(directory, 'etc', 'nginx', `site-${index}`), 'server {}\n'.repeat(50_000));
  }
  writeFileSync(join(directory, 'etc', 'hostname'), 'machine\n');
}

/** Changes a bit in the middle of noise, wherever it is stored. @returns the key of the object. */
export async function damageNoise(lab: TestLab, noise: Buffer): Promise<string> {
  // A piece that no filesystem and no format divides.
  const piece = noise.subarray(6_000_128, 6_000_192);
  for (const key of (await keysIn(lab)).filter((name) => !/manifest|index|\.map|\.blocks/.test(name))) {
    const body = await bytesOf(lab, key);
    const at = body.indexOf(piece);
    if (at < 0) continue;
    body[at] = (body[at] ?? 0) ^ 1;
    await replaceObject(lab, key, body);
    return key;
  }
  return assert.fail('the noise is in no object');
}

export const runRestore = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, ['restore', '--bucket', BUCKET, '--json', ...argv], options);

/** Restores files to a new directory. @returns the directory, and the stored bytes that were reported as read. */
export async function restoreFiles(
  lab: TestLab,
  snapshotId: string,
  argv: readonly string[],
  options: RunOptions = {},
) {
  const into = join(lab.directory, `files-${randomBytes(6).toString('hex')}`);
  const done = await runRestore(lab, [snapshotId, '--to-dir', into, ...argv], options);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const restored = recordsOf(done).filter(({ code }) => code === 'object.restored');
  const fetched = restored.reduce((sum, { fetchedBytes }) => sum + Number(fetchedBytes), 0);
  return { into, fetched, restored };
}

/** The bytes of the ranges of data objects that were requested since a number of calls. Nothing else may be requested. */
export async function rangesRead(lab: TestLab, since: number): Promise<number> {
  const calls = (await lab.control.calls()).slice(since);
  const reads = calls.filter(
    ({ operation, details }) => operation === 'GetObject' && /\.img\.|\.pack\./.test(details['key'] ?? ''),
  );
  let bytes = 0;
  for (const { details } of reads) {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(details['range'] ?? '') ?? assert.fail('a whole object was read');
    bytes += Number(to) - Number(from) + 1;
  }
  return bytes;
}
