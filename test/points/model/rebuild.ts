/**
 * Rebuilds points from the objects of a bucket, as docs/archive-format.md describes. It shares no code with the program, so
 * that a defect of the program cannot hide itself.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { BUCKET, type TestLab } from '../../support/lab.ts';

const BLOCK_BYTES = 524_288;

interface StoredDocument {
  key: string;
  etag: string;
  bytes: number;
}

/** The fields of a manifest that matter here. */
export interface PointManifest {
  format: number;
  snapshot: { id: string };
  disk: { bytes: number };
  expiry?: { state: 'expiring' | 'expired'; markedAt: string };
  point: {
    parent: string | null;
    own: { packs: number; list: StoredDocument | null };
    map: StoredDocument;
    generations: { snapshot: string; blocks: StoredDocument; used: number }[];
  };
}

/** A pack cannot be read, or has other bytes than its block list says. */
export class DamagedPack extends Error {
  readonly key: string;

  constructor(key: string, why: string) {
    super(`${key}: ${why}`);
    this.key = key;
  }
}

/** The objects of the bucket at one time. Objects that did not change since the last time are not read again. */
export class Bucket {
  /** The ETags of all objects by their keys. */
  readonly etags = new Map<string, string>();
  readonly #lab: TestLab;
  readonly #known: Map<string, Buffer>;

  private constructor(lab: TestLab, known: Map<string, Buffer>) {
    this.#lab = lab;
    this.#known = known;
  }

  static async list(lab: TestLab, known: Map<string, Buffer>): Promise<Bucket> {
    const bucket = new Bucket(lab, known);
    for await (const { Contents = [] } of paginateListObjectsV2({ client: lab.s3 }, { Bucket: BUCKET }))
      for (const { Key = '', ETag = '' } of Contents) bucket.etags.set(Key, ETag);
    return bucket;
  }

  /** @returns `null` if there is no such object. */
  async read(key: string): Promise<Buffer | null> {
    const etag = this.etags.get(key);
    if (etag === undefined) return null;
    const name = `${etag} ${key}`;
    const known = this.#known.get(name);
    if (known) return known;
    const { Body } = await this.#lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
    this.#known.set(name, bytes);
    return bytes;
  }

  /** All manifests by their snapshots. */
  async manifests(): Promise<Map<string, PointManifest>> {
    const found = new Map<string, PointManifest>();
    for (const key of this.etags.keys()) {
      if (!key.endsWith('.manifest.json')) continue;
      const manifest = JSON.parse(String(await this.read(key))) as PointManifest;
      assert.equal(manifest.format, 2, key);
      assert.ok(key.includes(manifest.snapshot.id), key);
      found.set(manifest.snapshot.id, manifest);
    }
    return found;
  }
}

interface Line {
  blocks?: [number, number];
  is?: 'absent' | 'zero';
  in?: number;
  pack?: { key: string; bytes: number; blocks: number };
  block?: number;
  at?: number;
  sha256?: string;
  end?: { blocks: number };
}

async function linesOf(bucket: Bucket, { key, bytes }: StoredDocument): Promise<Line[]> {
  const body = await bucket.read(key);
  assert.ok(body, `${key} is missing`);
  assert.equal(body.length, bytes, key);
  const lines = zstdDecompressSync(body).toString().trim().split('\n');
  return lines.slice(1).map((line) => JSON.parse(line) as Line);
}

/** @returns the generation of each block; -1 for blocks without data. */
async function placesOf(bucket: Bucket, { point, disk }: PointManifest): Promise<number[]> {
  const places: number[] = [];
  for (const { blocks, is, in: generation = -1, end } of await linesOf(bucket, point.map)) {
    if (end) assert.equal(end.blocks, places.length, point.map.key);
    if (!blocks) continue;
    assert.equal(blocks[0], places.length, `${point.map.key} has a gap`);
    assert.ok((is === undefined) === generation >= 0, point.map.key);
    while (places.length < blocks[1]) places.push(generation);
  }
  assert.equal(places.length, disk.bytes / BLOCK_BYTES, point.map.key);
  return places;
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64');

const ZERO_HASH = hashOf(Buffer.alloc(BLOCK_BYTES));

/**
 * @returns the hashes of all blocks of the disk that are not zeros, from the bytes in the packs.
 * @throws DamagedPack for the first pack that has not what the point needs; AssertionError for everything else.
 */
export async function rebuildPoint(bucket: Bucket, manifest: PointManifest): Promise<Map<number, string>> {
  const places = await placesOf(bucket, manifest);
  const found = new Map<number, string>();
  for (const [number, { blocks, used }] of manifest.point.generations.entries()) {
    const wanted = new Set(places.flatMap((place, index) => (place === number ? [index] : [])));
    assert.equal(wanted.size, used, blocks.key);
    await readGeneration(bucket, blocks, wanted, found);
    const missing = [...wanted].filter((index) => !found.has(index));
    assert.deepEqual(missing, [], `${blocks.key} lacks blocks`);
  }
  for (const [index, hash] of found) if (hash === ZERO_HASH) found.delete(index);
  return found;
}

async function readGeneration(
  bucket: Bucket,
  list: StoredDocument,
  wanted: ReadonlySet<number>,
  found: Map<number, string>,
): Promise<void> {
  const lines = await linesOf(bucket, list);
  let pack = { key: '', bytes: 0 };
  for (const [number, line] of lines.entries()) {
    if (line.pack) pack = line.pack;
    if (line.block === undefined || !wanted.has(line.block)) continue;
    const end = lines[number + 1]?.at || pack.bytes;
    const hash = await readFrame(bucket, pack, line.at ?? -1, end);
    if (hash !== line.sha256) throw new DamagedPack(pack.key, `block ${line.block} has other bytes`);
    found.set(line.block, hash);
  }
}

async function readFrame(bucket: Bucket, { key, bytes }: { key: string; bytes: number }, at: number, end: number) {
  const pack = await bucket.read(key);
  if (pack?.length !== bytes) throw new DamagedPack(key, pack ? `it has ${pack.length} bytes` : 'it is missing');
  try {
    return hashOf(zstdDecompressSync(pack.subarray(at, end)));
  } catch (error) {
    throw new DamagedPack(key, String(error));
  }
}
