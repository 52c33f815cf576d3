/** Plans the restore of a point, and shows the plan for `--dry-run`. */
import type { NewSnapshot } from '../../../cloud/blocks.ts';
import type { ObjectHead } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { PlannedObject } from '../../../events.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { GiB } from '../../../lib/units.ts';
import { lengthOf } from '../../../transfer/download.ts';
import type { Archive } from '../../reading/find-archive.ts';
import { dataBytesIn, type ImageSize } from '../../reading/image-size.ts';
import { assertHeadMatches } from '../../reading/object/object-findings.ts';
import type { FoundPoint } from '../../reading/point/found-point.ts';
import { type NeededPack, neededPacks } from '../../reading/point/needed-packs.ts';
import { type OpenPoint, openPoint } from '../../reading/point/open-point.ts';
import { packAsObject, packStream } from '../../reading/point/pack-stream.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings } from '../../shared/settings/restore.ts';
import { offerThaw } from '../../thaw/thaw.ts';
import type { ImageSettings } from '../image/restore-image.ts';
import { examineTarget, type FoundTarget } from '../image/restore-target.ts';
import { wantedSnapshot } from '../snapshot/restore-snapshot.ts';
import { assertHasBlocks } from './fill-from-packs.ts';

/** A point, as an archive. */
export type PointArchive = Archive & { point: FoundPoint };

export const isPoint = (archive: Archive): archive is PointArchive => archive.point !== null;

/** The plan of the restore, before anything is written. */
export interface PointPlanned {
  opened: OpenPoint;
  packs: readonly NeededPack[];
  size: ImageSize;
  /** The new snapshot to create; `null` for another target. */
  wanted: NewSnapshot | null;
  /** The file or device; `null` for another target. */
  found: FoundTarget | null;
}

/** @throws SnapError `NOT_FOUND`, `USAGE` for what a point does not have, and for a target that it cannot be restored to. */
export function assertIsImage(snapshotId: string, settings: RestoreSettings): asserts settings is ImageSettings {
  const { target, partition } = settings;
  if (target.kind === 'directory') throw new SnapError('BUG', 'files of a point are restored from its mounted disk');
  if (target.kind === 'volume') throw new SnapError('BUG', 'a point is restored to a volume like an image');
  if (partition !== null)
    throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} has no image of partition ${partition}`, {
      hint: 'restore the whole disk with --to-file, --to-device or --to-snapshot, or files of the partition with --to-dir',
    });
}

/** Writes nothing, and does not prompt. @throws SnapError `NOT_FOUND`, `TARGET`, `DIFFERS`, `GPG_KEY` */
export async function planPoint(
  archive: PointArchive,
  { target, ...settings }: ImageSettings,
  check: ReadContext,
): Promise<PointPlanned> {
  const opened = await openPoint(archive.point, check);
  const { table } = opened;
  const size = { plainBytes: table.bytes, dataBytes: dataBytesIn(table) };
  const plan = { opened, packs: neededPacks(opened), size };
  if (target.kind === 'snapshot') {
    assertHasBlocks(opened);
    const wanted = await wantedSnapshot(archive, size, target, settings, check);
    return { ...plan, wanted, found: null };
  }
  const found = await examineTarget(target, settings.overwrite, size, check.signal);
  return { ...plan, wanted: null, found };
}

/** Maximum number of packs that are looked up at the same time. */
const CONCURRENCY = 16;

/** Changes nothing, and notifies the host of the plan. @throws SnapError as `planPoint`, and `USAGE` for another tier. */
export async function showPlanOfPoint(
  archive: PointArchive,
  settings: ImageSettings,
  services: Services,
  check: ReadContext,
): Promise<void> {
  const { target, thaw } = settings;
  const { snapshotId } = archive;
  const { opened, packs, size, wanted, found } = await planPoint(archive, settings, check);
  const to = target.kind === 'snapshot' ? 'a new snapshot' : target.path;
  const objects: PlannedObject[] = [];
  const frozen: ObjectHead[] = [];
  await inParallel([...packs.entries()], CONCURRENCY, check.signal, async ([at, needed], signal) => {
    const head = await services.store.head(needed.pack.key, { signal });
    const object = packAsObject(needed, opened.point);
    assertHeadMatches(head, object, needed.list.snapshot);
    const { storageClass, bytes: storedBytes, restore: retrieval } = head;
    if (retrieval === 'needed') frozen.push(head);
    const plainBytes = needed.positions.length * opened.table.blockBytes;
    const sizes = { storedBytes, fetchBytes: lengthOf(packStream(needed).extents), plainBytes };
    objects[at] = { key: object.key, partition: null, layout: 'image', to, storageClass, retrieval, ...sizes };
  });
  if (frozen.length > 0) await offerThaw(snapshotId, frozen, thaw, { ...services, signal: check.signal });
  const room = found ?? { neededBytes: size.plainBytes, roomBytes: (wanted?.sizeGiB ?? 0) * GiB, holds: null };
  const plan = { target: target.kind, objects, rooms: [{ where: to, ...room }] };
  services.host.notify({ code: 'restore.planned', snapshot: snapshotId, plan });
}
