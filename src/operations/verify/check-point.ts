/** Compares a point with its snapshot block by block, and examines its packs. */
import { closeSync, openSync } from 'node:fs';
import { BLOCK_KIND, type BlockTable, hashAt } from '../../archive/block-table.ts';
import { PLACE } from '../../archive/points/point-map.ts';
import type { PointValidation } from '../../archive/points/point-validation.ts';
import { BLOCK_BYTES, type SnapshotBlock } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { monotonic } from '../../lib/clock.ts';
import { count, GiB } from '../../lib/units.ts';
import { DifferenceList } from '../../streams/difference.ts';
import { consumeInThreads } from '../../streams/start.ts';
import { blocksInOrder } from '../../transfer/block-image.ts';
import { ZERO_HASH } from '../../transfer/block-writer.ts';
import type { OpenPoint } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { Services } from '../shared/services.ts';
import { isZeroBlock } from '../source/snapshot-image.ts';
import { notifyCheck } from './check-archive.ts';
import { examinePacks } from './examine-packs.ts';

/**
 * The content of the snapshot: a device, or the EBS direct APIs with a number of blocks in flight. On the device of an
 * encrypted snapshot, blocks that were never written show noise, so they are not compared. `null` if the caller has recorded
 * the hash of every block while it read the snapshot.
 */
type SnapshotContent = { device: string } | { inFlight: number } | null;

type PointServices = ReadContext & Pick<Services, 'blocks' | 'rateLimiter'>;

/**
 * Compares every block of the snapshot with the map and the block lists of the point, looks up every pack that the point
 * needs, and reads the packs that no validation has read yet, unless they must be thawed. Reports all findings as one event.
 * @returns whether all packs were read, now or before.
 * @throws SnapError `DIFFERS`, or the reason why the comparison is impossible.
 */
export async function checkPoint(
  opened: OpenPoint,
  snapshot: Snapshot,
  content: SnapshotContent,
  services: PointServices,
): Promise<PointValidation['packs']> {
  const started = monotonic();
  const { checks, counts } = await examinePacks(opened, services);
  const found = await compareContent(opened, snapshot, content, services);
  const seconds = (monotonic() - started) / 1000;
  const except =
    counts.unread === 0 ? [] : [`the content of ${count(counts.unread, 'pack')} that must be thawed first`];
  const checked = { checks, missing: found.kept, notKept: [], except, packs: counts };
  const differences = notifyCheck(snapshot.id, 'everything', checked, seconds, services);
  if (differences === 0) return counts.unread === 0 ? 'read' : 'not-read';
  const [first] = [...checks.flatMap((check) => check.differences), ...found.kept];
  throw new SnapError(
    'DIFFERS',
    `the archive differs from the snapshot: ${first?.detail} (${count(differences, 'difference')})`,
    { hint: 'keep the snapshot, and archive it again under another --prefix' },
  );
}

async function compareContent(
  { table, map }: OpenPoint,
  snapshot: Snapshot,
  content: SnapshotContent,
  services: PointServices,
): Promise<DifferenceList> {
  if (content === null) return new DifferenceList();
  if (!('device' in content)) return compareBlocks(table, snapshot, content.inFlight, services);
  const kinds = Uint8Array.from(table.kinds);
  if (snapshot.encrypted)
    for (const [index, place] of map.places.entries()) if (place === PLACE.absent) kinds[index] = BLOCK_KIND.unknown;
  return compareDevice(content.device, { ...table, kinds }, services.signal);
}

/** Ends at the first difference. */
async function compareDevice(path: string, table: BlockTable, signal: AbortSignal): Promise<DifferenceList> {
  const descriptor = openSync(path, 'r');
  try {
    const { differences } = await consumeInThreads(descriptor, { kind: 'blocks', table }, signal);
    const found = new DifferenceList();
    for (const { kind, path: at, detail } of differences) found.add(kind, at, `the disk: ${detail}`);
    return found;
  } finally {
    closeSync(descriptor);
  }
}

async function compareBlocks(
  table: BlockTable,
  { id: snapshotId, sizeGiB }: Snapshot,
  inFlight: number,
  { blocks, rateLimiter, signal }: PointServices,
): Promise<DifferenceList> {
  const found = new DifferenceList();
  if (table.bytes !== sizeGiB * GiB || table.blockBytes !== BLOCK_BYTES) {
    found.add('size', '', `the point describes a disk of ${table.bytes} bytes, the snapshot has ${sizeGiB * GiB}`);
    return found;
  }
  const add = (index: number) => found.add('content', '', `the block at byte ${index * BLOCK_BYTES} differs`);
  const isSeen = new Uint8Array(table.kinds.length);
  for await (const { index, block, release } of blocksInOrder(
    { blocks, snapshotId, from: 0, inFlight, rateLimiter },
    signal,
  )) {
    if (!isSame(block, index, table)) add(index);
    isSeen[index] = 1;
    release();
  }
  for (const [index, kind] of table.kinds.entries())
    if (isSeen[index] === 0 && kind === BLOCK_KIND.data && !ZERO_HASH.equals(hashAt(table, index))) add(index);
  return found;
}

const isSame = ({ bytes, sha256 }: SnapshotBlock, index: number, table: BlockTable): boolean =>
  table.kinds[index] === BLOCK_KIND.data
    ? Buffer.from(sha256, 'base64').equals(hashAt(table, index))
    : table.kinds[index] === BLOCK_KIND.zero && isZeroBlock(bytes);
