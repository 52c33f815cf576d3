/** Fetches archives from the bucket of the lab, and unpacks them with standard tools only. */
import assert from 'node:assert/strict';
import { createWriteStream, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { zstdDecompressSync } from 'node:zlib';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLockConfigurationCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { type Claim, claimKey, encodeClaim, newClaim } from '../../src/archive/claim.ts';
import type { Manifest } from '../../src/archive/manifest.ts';
import { BUCKET, runProgram, type TestLab } from './lab.ts';
import { SAME_BYTES } from './same-bytes.ts';
import { bytesOf } from './tamper.ts';

export async function keysIn(lab: TestLab): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: lab.s3 }, { Bucket: BUCKET })) {
    keys.push(...Contents.map(({ Key = '' }) => Key));
  }
  return keys;
}

/** Returns the only key with this suffix. */
export async function keyEnding(lab: TestLab, ending: string): Promise<string> {
  const keys = await keysIn(lab);
  const found = keys.filter((key) => key.endsWith(ending));
  assert.equal(found.length, 1, `keys ending in ${ending}: ${JSON.stringify(keys)}`);
  return found[0] ?? '';
}

/** Enables Object Lock for the bucket. @param Days of a default retention in the mode `GOVERNANCE`; `null` for none. */
export async function enableObjectLock(lab: TestLab, Days: number | null = null): Promise<void> {
  const VersioningConfiguration = { Status: 'Enabled' as const };
  await lab.s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
  const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: Days ?? 0 } };
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, ...(Days === null ? {} : { Rule }) };
  await lab.s3.send(new PutObjectLockConfigurationCommand({ Bucket: BUCKET, ObjectLockConfiguration }));
}

export interface LockedVersion {
  key: string;
  isLatest: boolean;
  mode: string | null;
  until: Date | null;
}

/** All versions in the bucket with their locks. Delete markers are left out. */
export async function locksIn(lab: TestLab): Promise<LockedVersion[]> {
  const { Versions = [] } = await lab.s3.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
  return Promise.all(
    Versions.map(async ({ Key = '', VersionId, IsLatest }) => {
      const head = await lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, VersionId }));
      const { ObjectLockMode: mode = null, ObjectLockRetainUntilDate: until = null } = head;
      return { key: Key, isLatest: IsLatest === true, mode, until };
    }),
  );
}

/**
 * Stores the claim of a run that was killed before it did anything, except for the given facts. Returns its key.
 * @param put further settings of the object.
 */
export async function putClaim(
  lab: TestLab,
  facts: Pick<Claim, 'snapshot'> & Partial<Claim>,
  put: Pick<PutObjectCommandInput, 'StorageClass'> = {},
): Promise<string> {
  const claim = newClaim({
    ...{ volume: 'vol-1', command: 'migrate', holder: null, takenAt: '2026-01-01T00:00:00Z', renewal: 1 },
    ...{ lifeSeconds: 3600, tagBefore: null, progress: null },
    ...facts,
  });
  const Key = claimKey('', claim.snapshot);
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: encodeClaim(claim), ...put }));
  return Key;
}

async function fetchObject(lab: TestLab, key: string): Promise<string> {
  const { Body } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  const file = join(lab.directory, `fetched-${Buffer.from(key).toString('hex').slice(-40)}`);
  await pipeline(Body as Readable, createWriteStream(file));
  return file;
}

export const readManifest = (lab: TestLab): Promise<Manifest> => readManifestOf(lab, '');

export async function readManifestOf(lab: TestLab, snapshotId: string): Promise<Manifest> {
  const key = await keyEnding(lab, `${snapshotId}.manifest.json`);
  const { Body } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  return JSON.parse((await Body?.transformToString()) ?? '') as Manifest;
}

/** A line of the index of an image (docs/archive-format.md). */
export interface IndexLine {
  blocks?: [number, number];
  is?: string;
  sha256?: string;
  piece?: { plain: number; stored: number };
}

export async function readIndex(lab: TestLab, ending: string): Promise<IndexLine[]> {
  const answer = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: await keyEnding(lab, ending) }));
  const bytes = Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
  const lines = zstdDecompressSync(bytes).toString().trim().split('\n');
  return lines.map((line) => JSON.parse(line) as IndexLine);
}

const BLOCK_BYTES = 524_288;

/** Returns the position of a byte of an image in S3 that a restore fetches: within the largest piece that has data. */
export async function byteWithData(lab: TestLab, indexEnding: string): Promise<number> {
  const lines = await readIndex(lab, indexEnding);
  const starts = lines.flatMap(({ piece }) => piece ?? []);
  const data = lines.flatMap(({ is, blocks: [from = 0] = [] }) => (is === 'data' ? [from * BLOCK_BYTES] : []));
  // The last piece is a run of zeros.
  const pieces = starts.slice(1).map((end, index) => ({ start: starts[index] ?? { plain: 0, stored: 0 }, end }));
  const withData = pieces.filter(({ start, end }) => data.some((at) => start.plain <= at && at < end.plain));
  const [largest] = withData.toSorted(
    (one, other) => other.end.stored - other.start.stored - (one.end.stored - one.start.stored),
  );
  if (!largest) throw new Error(`${indexEnding} lists no piece with data`);
  return (largest.start.stored + largest.end.stored) >> 1;
}

const DECODERS = { lz4: 'lz4 -d -c -', zst: 'zstd -d -c -', gpg: 'gpg --batch --quiet --decrypt' };

/** Returns the shell pipeline that decodes an object. It undoes the suffixes of the key, the last one first. */
function decoderOf(key: string): string {
  const suffixes = key.split('.').reverse();
  const stages: string[] = [];
  for (const suffix of suffixes) {
    if (!(suffix in DECODERS)) break;
    stages.push(DECODERS[suffix as keyof typeof DECODERS]);
  }
  return stages.join(' | ');
}

async function shell(lab: TestLab, script: string, args: readonly string[], env: Record<string, string>) {
  const done = await runProgram(['bash', '-o', 'pipefail', '-c', script, 'restore', ...args], {
    env: { ...lab.env, ...env },
  });
  assert.equal(done.code, 0, `${script}: ${done.stderr.slice(0, 2000)}`);
  return done;
}

/** Extracts a tar to a new directory, as docs/archive-format.md describes. */
export async function extractTar(lab: TestLab, key: string, env: Record<string, string> = {}): Promise<string> {
  const into = join(lab.directory, `restored-${Buffer.from(key).toString('hex').slice(-40)}`);
  mkdirSync(into);
  const untar = "tar --extract --same-permissions --numeric-owner --xattrs --xattrs-include='*' --warning=no-timestamp";
  await shell(lab, `(${decoderOf(key)}) < "$1" | ${untar} --directory "$2"`, [await fetchObject(lab, key), into], env);
  return into;
}

/** Prints the same hash as sha256sum, four times as fast: coreutils do not use the processor's instructions for it. */
const HASH = `
  const hash = require('node:crypto').createHash('sha256');
  process.stdin.on('data', (bytes) => hash.update(bytes)).on('end', () => console.log(hash.digest('hex')));`;

/** Returns the SHA-256 of the plain bytes. */
export async function plainHash(lab: TestLab, key: string, env: Record<string, string> = {}): Promise<string> {
  const script = `(${decoderOf(key)}) < "$1" | "$2" --eval "$3"`;
  const done = await shell(lab, script, [await fetchObject(lab, key), process.execPath, HASH], env);
  return done.stdout.trim();
}

/** Asserts that the plain bytes equal those of a file, and names the first difference. */
export async function assertPlainEquals(
  lab: TestLab,
  key: string,
  file: string,
  env: Record<string, string> = {},
): Promise<void> {
  await shell(
    lab,
    `(${decoderOf(key)}) < "$1" | "$3" "$4" - "$2"`,
    [await fetchObject(lab, key), file, ...SAME_BYTES],
    env,
  );
}

/** Returns the names of the members of a tar, as bytes in Latin-1. */
export async function tarNames(lab: TestLab, key: string): Promise<string[]> {
  const file = await fetchObject(lab, key);
  const listing = join(lab.directory, 'listing');
  const list = 'tar --list --quoting-style=literal --show-transformed-names';
  await shell(lab, `(${decoderOf(key)}) < "$1" | ${list} > "$2"`, [file, listing], {});
  const { readFileSync } = await import('node:fs');
  return readFileSync(listing, 'latin1').split('\n');
}

/** Downloads all objects of the bucket as files. Returns their directory, which is new. */
export async function fetchBucket(lab: TestLab): Promise<string> {
  const directory = mkdtempSync(join(lab.directory, 'bucket-'));
  for (const key of await keysIn(lab)) {
    mkdirSync(dirname(join(directory, key)), { recursive: true });
    writeFileSync(join(directory, key), await bytesOf(lab, key));
  }
  return directory;
}
