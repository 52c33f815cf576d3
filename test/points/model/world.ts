/** Two volumes in a lab with their archives, and what is known about them. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DescribeVolumesCommand } from '@aws-sdk/client-ec2';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import type { TestLab } from '../../support/lab.ts';
import { SparseVolume } from '../../support/lineages/sparse-volume.ts';
import {
  assertMarksAreRight,
  assertNothingLeftEarly,
  assertPointsAreRight,
  type ModelSnapshot,
  type Rules,
} from './model.ts';
import { Bucket, type PointManifest } from './rebuild.ts';

export const BLOCK_BYTES = 524_288;

export const HOUR = 3_600_000;

export interface ModelVolume {
  readonly id: string;
  readonly disk: SparseVolume;
  /** The hashes of all blocks that are not zeros. */
  readonly blocks: Map<number, string>;
  /** The hashes of the blocks that were written last, in their order. */
  readonly made: string[];
}

export interface World {
  readonly lab: TestLab;
  readonly random: () => number;
  readonly volumes: readonly ModelVolume[];
  readonly snapshots: Map<string, ModelSnapshot>;
  /** Damaged packs, and whether a listing of the bucket shows the damage. */
  readonly damage: Map<string, 'visible' | 'hidden'>;
  /** The objects that were read, by their ETags and keys. */
  readonly known: Map<string, Buffer>;
  /** The manifests after the last step. */
  manifests: Map<string, PointManifest>;
  /** Milliseconds by which the clock of the lab is ahead. */
  ahead: number;
}

export async function makeWorld(lab: TestLab, random: () => number): Promise<World> {
  const volumes = [await makeVolume(lab), await makeVolume(lab)];
  const world = { lab, random, volumes, snapshots: new Map(), damage: new Map(), known: new Map() };
  return { ...world, manifests: new Map(), ahead: 0 };
}

async function makeVolume(lab: TestLab): Promise<ModelVolume> {
  const id = `vol-${randomBytes(9).toString('hex').slice(0, 17)}`;
  const made: string[] = [];
  const disk = new SparseVolume(join(lab.directory, `${id}.img`), () => {
    const block = Buffer.alloc(BLOCK_BYTES, randomBytes(16));
    made.push(createHash('sha256').update(block).digest('base64'));
    return block;
  });
  await disk.grow(1);
  return { id, disk, made, blocks: new Map() };
}

/** The time of the lab. */
export const nowIn = ({ ahead }: World): Date => new Date(Date.now() + ahead);

export async function advance(world: World, milliseconds: number): Promise<void> {
  world.ahead += milliseconds;
  const { control, s3, ec2 } = world.lab;
  await control.setClock(nowIn(world));
  // The clients of the test learn the time from a refusal.
  await Promise.allSettled([s3.send(new ListBucketsCommand()), ec2.send(new DescribeVolumesCommand())]);
}

/** A random whole number below the limit. */
export const below = ({ random }: World, limit: number): number => Math.floor(random() * limit);

/** @returns `undefined` if there is nothing to choose from. */
export const oneOf = <T>(world: World, things: readonly T[]): T | undefined => things[below(world, things.length)];

/**
 * Compares the bucket with the model.
 * @param rules of a run of `expire` that has just ended well; `null` if there was none.
 */
export async function checkWorld(world: World, rules: Rules | null): Promise<Bucket> {
  const { lab, snapshots, damage } = world;
  const bucket = await Bucket.list(lab, world.known);
  const manifests = await bucket.manifests();
  assertNothingLeftEarly(world.manifests, manifests, nowIn(world));
  await assertPointsAreRight(bucket, manifests, snapshots, damage);
  for (const [id, { isArchived }] of snapshots)
    assert.ok(!isArchived || manifests.has(id) || world.manifests.has(id), `${id} was reported as archived`);
  if (rules) assertMarksAreRight(manifests, snapshots, damage, rules);
  for (const [id, snapshot] of snapshots) if (!manifests.has(id)) snapshots.set(id, { ...snapshot, isArchived: false });
  world.manifests = manifests;
  return bucket;
}
