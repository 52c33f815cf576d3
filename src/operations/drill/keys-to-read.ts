/** What a drill must know about an archive in the listing before it is restored. */
import { parseGenerationKey } from '../../archive/key.ts';
import type { FoundArchive } from '../reading/bucket/scan-bucket.ts';
import { type AnyManifest, NO_MANIFEST, readManifest } from '../reading/find-archive.ts';
import { neededPacks } from '../reading/point/needed-packs.ts';
import { openPoint } from '../reading/point/open-point.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';

/** Whether the objects are those of an incremental archive. */
export const isPointIn = ({ data, indexes }: FoundArchive): boolean =>
  [...indexes, ...data].some(({ key }) => parseGenerationKey(key) !== null);

/** @throws SnapError `MANIFEST` if the manifest cannot be used. */
export const manifestIn = async (
  { id, manifestKey }: FoundArchive,
  { store }: Pick<Services, 'store'>,
  signal: AbortSignal,
): Promise<AnyManifest> => (manifestKey === null ? NO_MANIFEST : readManifest(manifestKey, id, store, signal));

/**
 * The data objects that a restore of the archive reads. A point needs packs of other snapshots, too.
 * @throws SnapError `MANIFEST`, and for a point the errors of `openPoint`.
 */
export async function keysToRead(
  found: FoundArchive,
  { downloadStreams: streams }: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<string[]> {
  if (!isPointIn(found)) return found.data.map(({ key }) => key);
  const { point } = await manifestIn(found, services, signal);
  if (!point) return [];
  const opened = await openPoint(point, { ...services, signal, streams, sessionKey: null });
  return neededPacks(opened).map(({ pack }) => pack.key);
}
