/**
 * Puts the daily points of one sparse volume into a bucket. Their manifests, maps and block lists are real. Their packs
 * have two bytes per block instead of data, because only the heads of packs are read.
 */
import { randomBytes } from 'node:crypto';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { HASH_BYTES } from '../../src/archive/block-table.ts';
import { type AttemptName, formatStartTime, generationKey, manifestKey, packKey } from '../../src/archive/key.ts';
import { type BlockList, encodeBlockList, type StoredPack } from '../../src/archive/points/block-list.ts';
import {
  encodePointManifest,
  type GenerationNote,
  POINT_FORMAT,
  type PointDocument,
  type PointManifest,
} from '../../src/archive/points/point-manifest.ts';
import { encodeMap, newPlaces, type PointMap } from '../../src/archive/points/point-map.ts';
import { BLOCK_BYTES } from '../../src/cloud/blocks.ts';
import { newMap } from '../../src/operations/migrate/points/new-map.ts';
import { VERSION } from '../../src/version.ts';

export interface ManyPoints {
  env: NodeJS.ProcessEnv;
  bucket: string;
  /** The number of points. */
  points: number;
  /** The size of the volume, and the data in it. */
  gib: number;
  dataGib: number;
  /** The part of the data that changes every day. */
  change: number;
}

const GiB = 2 ** 30;
const DAY = 86_400_000;
const FIRST_START = Date.parse('2025-01-01T00:00:00Z');
const VOLUME = 'vol-0123456789abcdef0';

/** Blocks of a pack, and blocks of the disk that were written one after another. */
const PACK_BLOCKS = 512;
const RUN_BLOCKS = 64;

/** The fraction by which the changed blocks of each day are shifted, so that every day changes others. */
const SHIFT = (Math.sqrt(5) - 1) / 2;

const CONCURRENT_PUTS = 8;

interface Into {
  s3: S3Client;
  bucket: string;
}

/** The point that the next one continues. */
interface Before {
  manifest: PointManifest;
  map: PointMap;
}

/** @returns the ids of the snapshots, the oldest first. */
export async function addPoints({ env, bucket, points, ...volume }: ManyPoints): Promise<string[]> {
  const s3 = new S3Client({
    endpoint: env['AWS_ENDPOINT_URL_S3'] ?? '',
    region: env['AWS_REGION'] ?? '',
    credentials: { accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '', secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '' },
    forcePathStyle: true,
  });
  const into = { s3, bucket };
  let before: Before | null = null;
  const ids: string[] = [];
  for (let day = 0; day < points; day++) {
    before = await addPoint(into, day, volume.gib * GiB, changedBlocks(day, volume), before);
    ids.push(before.manifest.snapshot.id);
  }
  s3.destroy();
  return ids;
}

type Volume = Pick<ManyPoints, 'gib' | 'dataGib' | 'change'>;

/** All blocks with data on the first day. Later, blocks that are spread evenly over the data. */
function changedBlocks(day: number, { gib, dataGib, change }: Volume): Uint32Array {
  const [all, written] = [gib, dataGib].map((size) => (size * GiB) / BLOCK_BYTES) as [number, number];
  const stride = Math.floor(all / Math.ceil(written / RUN_BLOCKS));
  const blockAt = (position: number) => Math.floor(position / RUN_BLOCKS) * stride + (position % RUN_BLOCKS);
  const count = day === 0 ? written : Math.max(1, Math.floor(written * change));
  const shift = day === 0 ? 0 : (day * SHIFT) % 1;
  return Uint32Array.from({ length: count }, (_, number) => blockAt(Math.floor(((number + shift) * written) / count)));
}

async function addPoint(
  into: Into,
  day: number,
  bytes: number,
  indexes: Uint32Array,
  before: Before | null,
): Promise<Before> {
  const startTime = new Date(FIRST_START + day * DAY);
  const snapshotId = `snap-${(day + 1).toString(16).padStart(17, '0')}`;
  const attempt = randomBytes(4).toString('hex');
  const name: AttemptName = { prefix: '', volumeId: VOLUME, startTime, snapshotId, attempt, cipher: 'none' };
  const list = await addPacks(into, name, bytes, indexes);
  const changes = { stored: indexes, places: before?.map.places ?? newPlaces(bytes, BLOCK_BYTES) };
  const known = before?.map.generations ?? [];
  const { map, used } = newMap(bytes, known, changes, list, new Uint8Array(indexes.length));
  const blocks = await put(into, generationKey(name, 'blocks'), await encodeBlockList(list));
  const document = await put(into, generationKey(name, 'map'), await encodeMap(map, snapshotId));
  const lists = new Map(before?.manifest.point.generations.map((note) => [note.snapshot, note.blocks]));
  const generations = used.map((note) => ({ ...note, blocks: lists.get(note.snapshot) ?? blocks }));
  const manifest = manifestOf(name, list, before?.manifest ?? null, { blocks, map: document, generations });
  await put(into, manifestKey(name), encodePointManifest(manifest));
  return { manifest, map };
}

async function addPacks(into: Into, name: AttemptName, bytes: number, indexes: Uint32Array): Promise<BlockList> {
  const packs: StoredPack[] = [];
  const firsts = Array.from({ length: Math.ceil(indexes.length / PACK_BLOCKS) }, (_, at) => at * PACK_BLOCKS);
  const waiting = firsts.entries();
  const work = async () => {
    for (const [number, first] of waiting) {
      const end = Math.min(first + PACK_BLOCKS, indexes.length);
      const stored = await put(into, packKey(name, number + 1, 'lz4'), Buffer.alloc(2 * (end - first)));
      packs[number] = { ...stored, crc32: null, codec: 'lz4', cipher: 'none', first, end };
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_PUTS }, work));
  const hashes = randomBytes(indexes.length * HASH_BYTES);
  const places = Float64Array.from(indexes, (_, position) => 2 * (position % PACK_BLOCKS));
  return { snapshot: name.snapshotId, bytes, blockBytes: BLOCK_BYTES, packs, indexes, hashes, places };
}

async function put({ s3, bucket }: Into, key: string, body: Buffer): Promise<PointDocument> {
  const { ETag = '' } = await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  return { key, etag: ETag, bytes: body.length };
}

interface Documents {
  blocks: PointDocument;
  map: PointDocument;
  generations: GenerationNote[];
}

function manifestOf(
  { volumeId, startTime, snapshotId: id }: AttemptName,
  { bytes, packs, indexes }: BlockList,
  before: PointManifest | null,
  { blocks, map, generations }: Documents,
): PointManifest {
  const storedBytes = packs.reduce((sum, pack) => sum + pack.bytes, 0);
  const chain = before?.point.chain ?? { baseBytes: storedBytes, deltaBytes: -storedBytes };
  const time = startTime.toISOString();
  const region = { region: 'us-east-1', ownerId: '123456789012', dataBytes: null, kmsKeyId: null };
  return {
    format: POINT_FORMAT,
    tool: { name: 'snap-to-s3', version: VERSION },
    snapshot: {
      id,
      volumeId,
      ...region,
      sizeGiB: bytes / GiB,
      startTime: time,
      description: '',
      encrypted: false,
      tags: {},
    },
    source: 'direct',
    device: null,
    layout: 'image',
    startedAt: time,
    finishedAt: time,
    disk: { bytes, sectorBytes: 512, table: 'none', partitionTable: null, bootCode: '', bootGap: null, notKept: [] },
    point: {
      how: before ? 'changed-blocks' : 'base',
      reason: before ? null : 'there is no older point of the volume',
      parent: before?.snapshot.id ?? null,
      base: before?.point.base ?? id,
      baseTime: before?.point.baseTime ?? formatStartTime(startTime),
      depth: before ? before.point.depth + 1 : 0,
      codec: 'lz4',
      compressionLevel: 1,
      cipher: 'none',
      storageClass: 'STANDARD',
      own: { blocks: indexes.length, packs: packs.length, storedBytes, list: blocks },
      chain: { ...chain, deltaBytes: chain.deltaBytes + storedBytes },
      map,
      generations,
    },
    validatedAt: null,
    sealed: null,
  };
}
