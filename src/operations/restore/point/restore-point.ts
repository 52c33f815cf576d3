/** Restores a point to a file, to a block device, or to a new snapshot. */
import { SnapError } from '../../../errors.ts';
import { monotonic } from '../../../lib/clock.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { Services } from '../../shared/services.ts';
import type { RestoreSettings } from '../../shared/settings/restore.ts';
import { makeReadable } from '../../thaw/thaw.ts';
import { type ImageSettings, requireConsent, type Written } from '../image/restore-image.ts';
import { openTarget } from '../image/restore-target.ts';
import { finishSnapshot, type SnapshotOrder } from '../snapshot/complete-snapshot.ts';
import { type Fill, writeSnapshot } from '../snapshot/restore-snapshot.ts';
import { fillFromPacks } from './fill-from-packs.ts';
import { assertIsImage, type PointArchive, type PointPlanned, planPoint, showPlanOfPoint } from './plan-point.ts';
import { type OnPack, writePoint } from './write-point.ts';

/**
 * With `dryRun`, only shows what would be restored.
 * @param onPack is called only for files and devices.
 * @throws SnapError `DIFFERS`, `NOT_FOUND`, `TARGET`, `USAGE`, and the errors of `makeReadable` and `writeObject`.
 */
export async function restorePoint(
  archive: PointArchive,
  settings: RestoreSettings,
  services: Services,
  signal: AbortSignal,
  onPack: OnPack = () => {},
): Promise<void> {
  const started = monotonic();
  const { snapshotId: snapshot, point } = archive;
  assertIsImage(snapshot, settings);
  const { downloadStreams: streams, sessionKey, target } = settings;
  const check: ReadContext = { ...services, signal, streams, sessionKey };
  if (settings.dryRun) return showPlanOfPoint(archive, settings, services, check);
  const plan = await planPoint(archive, settings, check);
  if (target.kind === 'device' && plan.found) await requireConsent(target, plan.found, signal);
  const order = snapshotOrder(plan);
  const finished = order && (await finishSnapshot(order, services, signal));
  const written = finished
    ? { ...finished, target: finished.id }
    : await writeTo({ ...plan, onPack }, order, settings, services, check);
  const seconds = (monotonic() - started) / 1000;
  services.host.notify({ code: 'object.restored', snapshot, key: point.key, files: null, ...written, seconds });
}

/** @returns `null` unless a new snapshot is wanted. */
function snapshotOrder({ opened, wanted }: PointPlanned): SnapshotOrder | null {
  if (!wanted) return null;
  const { table, point } = opened;
  const { snapshot, point: facts } = point.content;
  return { snapshotId: snapshot.id, content: facts.map, bytes: table.bytes, indexBytes: 0, wanted };
}

async function writeTo(
  { opened, packs, size, onPack }: PointPlanned & { onPack: OnPack },
  order: SnapshotOrder | null,
  { target, overwrite, thaw }: ImageSettings,
  services: Services,
  check: ReadContext,
): Promise<Written> {
  const keys = packs.map(({ pack }) => pack.key);
  await makeReadable(opened.point.content.snapshot.id, keys, thaw, { ...services, signal: check.signal });
  if (target.kind === 'snapshot') {
    if (!order) throw new SnapError('BUG', 'the plan of the restore has no new snapshot');
    const fill: Fill = (started, checkpoint) => fillFromPacks({ opened, packs, started, checkpoint }, services, check);
    const { id, ...written } = await writeSnapshot(order, { canResume: true, fill }, services, check);
    return { target: id, ...written };
  }
  await using file = await openTarget(target, overwrite, size, check.signal);
  const written = await writePoint({ opened, packs, target: file, check, onPack });
  await file.keep();
  return { target: target.path, ...written };
}
