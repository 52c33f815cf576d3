/** Validates a point before its manifest is written. */
import type { PointManifest } from '../../../archive/points/point-manifest.ts';
import type { PointValidation } from '../../../archive/points/point-validation.ts';
import { now } from '../../../lib/clock.ts';
import { openPoint } from '../../reading/point/open-point.ts';
import { checkPoint } from '../../verify/check-point.ts';
import type { Migration } from '../migration.ts';

/**
 * Reads the map and the block lists back, and the packs that no validation has read yet. If EBS reported the changed blocks,
 * this run has not read the others, so all blocks of the snapshot are read. Otherwise, it has recorded the hash of each.
 * @param manifest the manifest that would be written, without its sealed part. @param key its key.
 * @throws SnapError `DIFFERS`, or the reason why the comparison is impossible.
 */
export async function provePoint(
  { snapshot, settings, services, signal }: Migration,
  manifest: PointManifest,
  key: string,
): Promise<PointValidation> {
  const { uploadStreams: streams, blockStreams: inFlight } = settings;
  const reading = { ...services, signal, streams, sessionKey: null };
  const opened = await openPoint({ key, etag: '', content: manifest }, reading);
  const content = manifest.point.how === 'changed-blocks' ? { inFlight } : null;
  const packs = await checkPoint(opened, snapshot, content, reading);
  return { at: now().toISOString(), packs };
}
