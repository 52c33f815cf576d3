/** Stores the block list, the map and the manifest of a point whose packs are stored. */
import { cipherOf } from '../../../archive/cipher.ts';
import { type AttemptName, formatStartTime, generationKey, manifestKey } from '../../../archive/key.ts';
import { type DeviceProof, type ManifestDisk, manifestSnapshot } from '../../../archive/manifest.ts';
import { objectMetadata } from '../../../archive/metadata.ts';
import { type BlockList, encodeBlockList } from '../../../archive/points/block-list.ts';
import {
  type ChainFacts,
  encodePointManifest,
  type GenerationNote,
  POINT_FORMAT,
  type PointDocument,
  type PointFacts,
  type PointManifest,
  publicPoint,
} from '../../../archive/points/point-manifest.ts';
import { encodeMap } from '../../../archive/points/point-map.ts';
import type { PointValidation } from '../../../archive/points/point-validation.ts';
import { objectTags } from '../../../archive/tags.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { ObjectLock } from '../../../cloud/object-lock.ts';
import { SnapError } from '../../../errors.ts';
import { now } from '../../../lib/clock.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { VERSION } from '../../../version.ts';
import { neededPacks } from '../../reading/point/needed-packs.ts';
import { isAsStored } from '../../reading/point/open-point.ts';
import type { Disk } from '../../source/read-disk.ts';
import type { Source } from '../../source/snapshot-disk.ts';
import { withValidation } from '../../validate/note-verdict.ts';
import { assertAllLocked, assertLocked } from '../locks.ts';
import { archiveName, type Migration } from '../migration.ts';
import { encryptBytes } from '../object/encrypt.ts';
import type { Changes } from './changes.ts';
import type { Parent } from './choose-parent.ts';
import { type NewMap, newMap } from './new-map.ts';
import { provePoint } from './prove-point.ts';
import type { RecordedBlocks } from './recorded-blocks.ts';

/** A point whose packs are stored. */
export interface PointDraft extends Pick<PointFacts, 'how' | 'reason'> {
  /** The name of its packs, its block list and its map. */
  readonly name: AttemptName;
  readonly source: Source;
  readonly proof: DeviceProof | null;
  readonly disk: Disk;
  readonly parent: Parent | null;
  readonly changes: Changes;
  readonly recorded: RecordedBlocks;
}

/** A point whose manifest is stored. */
export interface CommittedPoint {
  /** The ETag of the manifest. */
  etag: string;
  /** `null` unless `settings.validate` is set. */
  validation: PointValidation | null;
}

/**
 * @throws SnapError `DIFFERS` if the point differs from the snapshot, or if a pack that it needs is missing or was replaced;
 *   `NOT_LOCKED` if an object lacks its lock; then there is no manifest.
 */
export async function commitPoint(migration: Migration, draft: PointDraft): Promise<CommittedPoint> {
  const { snapshot, signal, claim } = migration;
  const { disk, parent, changes, recorded } = draft;
  const list = { snapshot: snapshot.id, bytes: disk.device.size, blockBytes: BLOCK_BYTES, ...recorded };
  const known = parent?.opened.map.generations ?? [];
  const made = newMap(disk.device.size, known, changes, list, recorded.zeros);
  const own =
    recorded.packs.length > 0
      ? await storeDocument(migration, draft.name, 'blocks', await encodeBlockList(list))
      : null;
  const map = await storeDocument(migration, draft.name, 'map', await encodeMap(made.map, snapshot.id));
  await assertPacksAreThere(migration, draft, made, list);
  if (migration.lock) await assertDocumentsLocked(migration, migration.lock, own ? [own, map] : [map]);
  const point = factsOf(migration, draft, { map, own, generations: notesOf(made, own, draft) });
  const open = manifestOf(migration, draft, point);
  const key = manifestKey(archiveName(migration));
  const validation = migration.settings.validate ? await provePoint(migration, open, key) : null;
  signal.throwIfAborted();
  claim.confirm();
  const etag = await storeManifest(migration, validation === null ? open : withValidation(open, validation));
  return { etag, validation };
}

async function storeDocument(
  migration: Migration,
  name: AttemptName,
  what: 'blocks' | 'map',
  body: Buffer,
): Promise<PointDocument> {
  const { snapshot, settings, services, signal, claim } = migration;
  const { encryption } = settings;
  const key = generationKey(name, what);
  const sealed = encryption ? await encryptBytes(encryption, body, signal) : body;
  claim.confirm();
  const { etag, bytes } = await services.store.putSmall(factsFor(migration, key), sealed, null, { signal });
  services.host.notify({ code: 'index.stored', snapshot: snapshot.id, key });
  return { key, etag, bytes };
}

const factsFor = ({ snapshot, settings, lock }: Migration, key: string) => ({
  key,
  lock,
  metadata: objectMetadata(snapshot, 0, POINT_FORMAT),
  tags: objectTags(snapshot.tags, settings.tagKey).tags,
});

/** Maximum number of packs that are looked up at the same time. */
const CONCURRENCY = 16;

/**
 * Looks up every pack that the point needs, and the block lists of older points, which may have been removed meanwhile.
 * @param list the block list of the point itself.
 */
async function assertPacksAreThere(
  migration: Migration,
  { parent, recorded }: PointDraft,
  { map }: NewMap,
  list: BlockList,
): Promise<void> {
  const { services, signal, lock } = migration;
  const known = new Map([...(parent?.opened.lists ?? []), list].map((one) => [one.snapshot, one]));
  const lists = map.generations.flatMap((id) => known.get(id) ?? []);
  const documents =
    parent?.found.content.point.generations.filter((note) => map.generations.includes(note.snapshot)) ?? [];
  const needed = [...recorded.packs, ...neededPacks({ map, lists }).map(({ pack }) => pack)];
  const objects = [...new Set(needed), ...documents.map(({ blocks }) => blocks)];
  await inParallel(objects, CONCURRENCY, signal, async (object, working) => {
    const head = await services.store.head(object.key, { signal: working });
    if (isAsStored(head, object)) return lock ? assertLocked(head, lock) : undefined;
    throw new SnapError(
      'DIFFERS',
      `${object.key}, which the point needs, is ${head ? 'another object now' : 'missing'}`,
      {
        hint: 'nothing refers to what this run has stored; run the same command again, which stores what is missing',
      },
    );
  });
}

const assertDocumentsLocked = (
  { services, signal }: Migration,
  lock: ObjectLock,
  documents: readonly PointDocument[],
): Promise<void> =>
  assertAllLocked(
    documents.map(({ key }) => key),
    lock,
    services.store,
    signal,
  );

/** The generations of the map, with the block lists in which its blocks are. */
function notesOf({ used }: NewMap, own: PointDocument | null, { parent }: PointDraft): GenerationNote[] {
  const known = new Map(parent?.found.content.point.generations.map((note) => [note.snapshot, note.blocks]));
  return used.map(({ snapshot, used: count }) => {
    const blocks = known.get(snapshot) ?? own;
    if (!blocks) throw new SnapError('BUG', `the generation of ${snapshot} has no block list`);
    return { snapshot, blocks, used: count };
  });
}

function factsOf(
  { snapshot, settings, lock }: Migration,
  { how, reason, parent, recorded }: PointDraft,
  { own: list, ...documents }: Pick<PointFacts, 'map' | 'generations'> & { own: PointDocument | null },
): PointFacts {
  const storedBytes = recorded.packs.reduce((sum, { bytes }) => sum + bytes, 0);
  const before = parent?.found.content.point ?? null;
  return {
    how,
    reason,
    parent: parent?.found.content.snapshot.id ?? null,
    base: before?.base ?? snapshot.id,
    baseTime: before?.baseTime ?? formatStartTime(snapshot.startTime),
    depth: before ? before.depth + 1 : 0,
    codec: settings.codec.name,
    compressionLevel: settings.codec.level,
    cipher: cipherOf(settings.encryption),
    storageClass: settings.storageClass,
    own: { blocks: recorded.indexes.length, packs: recorded.packs.length, storedBytes, list },
    chain: before
      ? { ...before.chain, deltaBytes: before.chain.deltaBytes + storedBytes }
      : { baseBytes: storedBytes, deltaBytes: 0, ...noteOfChain(lock) },
    ...documents,
  };
}

const noteOfChain = (lock: ObjectLock | null): Pick<ChainFacts, 'lockedUntil' | 'lockMode'> =>
  lock === null ? {} : { lockedUntil: lock.until.toISOString(), lockMode: lock.mode };

function manifestOf(migration: Migration, { source, proof, disk }: PointDraft, point: PointFacts): PointManifest {
  const { snapshot, services } = migration;
  return {
    format: POINT_FORMAT,
    tool: { name: 'snap-to-s3', version: VERSION },
    snapshot: manifestSnapshot(snapshot, services.region),
    source,
    device: proof,
    layout: 'image',
    startedAt: migration.startedAt.toISOString(),
    finishedAt: now().toISOString(),
    disk: diskOf(disk),
    point,
    validatedAt: null,
    sealed: null,
  };
}

/** An image contains the boot gap and everything outside of partitions itself. */
const diskOf = ({ device, table }: Disk): ManifestDisk => ({
  bytes: device.size,
  sectorBytes: table.sectorBytes,
  table: table.kind,
  partitionTable: table.json,
  bootCode: table.bootCode.toString('base64'),
  bootGap: null,
  notKept: [],
  volumeObstacle: null,
});

async function storeManifest(migration: Migration, open: PointManifest): Promise<string> {
  const { snapshot, settings, services, signal } = migration;
  const { encryption } = settings;
  const facts = factsFor(migration, manifestKey(archiveName(migration)));
  const manifest = encryption
    ? publicPoint(
        open,
        facts.tags,
        (await encryptBytes(encryption, Buffer.from(JSON.stringify(open)), signal)).toString('base64'),
      )
    : open;
  const { etag } = await services.store.putSmall(facts, encodePointManifest(manifest), null, { signal });
  services.host.notify({ code: 'manifest.stored', snapshot: snapshot.id, key: facts.key });
  return etag;
}
