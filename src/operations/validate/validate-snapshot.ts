/** Compares one snapshot with its archive. */
import type { Snapshot } from '../../cloud/ports.ts';
import type { ArchiveOrigin } from '../../events.ts';
import { requireTools } from '../../host/tools.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { factsOfSnapshot } from '../marking/rewrite-manifest.ts';
import { requireManifest } from '../reading/bucket/origin.ts';
import { type Archive, findArchive } from '../reading/find-archive.ts';
import type { FoundPoint } from '../reading/point/found-point.ts';
import { type OpenPoint, openPoint } from '../reading/point/open-point.ts';
import type { Services } from '../shared/services.ts';
import type { ValidateSettings } from '../shared/settings/validate.ts';
import type { ClaimedWork } from '../sharing/claimed-work.ts';
import { beginState, CONTENT_VALIDATED, revertState, VALIDATED } from '../sharing/state-tag.ts';
import { readDisk } from '../source/read-disk.ts';
import { chooseSource, type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import { assertThawed } from '../thaw/archived-objects.ts';
import { checkArchive, isDescriptionSealed } from '../verify/check-archive.ts';
import { comparePoint } from '../verify/compare-point.ts';
import { noteDifference, noteProof, type Proof } from './note-verdict.ts';

/**
 * Sets the state tag to `validating` during the comparison, then to `validated`, or to `content-validated` if only the
 * content was compared, or if packs of a point must be thawed before they can be read. If anything differs or fails, the tag gets its previous value again.
 * @throws SnapError `DIFFERS`, `NOT_FOUND` if there is no archive, `UNFINISHED`, or the reason why the comparison is
 *   impossible.
 */
export async function validateSnapshot(
  snapshot: Snapshot,
  settings: ValidateSettings,
  services: Services,
  { claim, signal, onDone }: ClaimedWork,
): Promise<void> {
  const { id: snapshotId, volumeId, startTime } = snapshot;
  const name = { prefix: settings.prefix, volumeId, startTime, snapshotId };
  const archive = await findArchive(name, services.store, signal);
  // The comparison with the snapshot shows missing partitions, so only certainly unfinished archives are refused.
  const isAccepted = (origin: ArchiveOrigin) => settings.withoutManifest || origin === 'unknown';
  await requireManifest(archive, isAccepted, services, signal);
  requireTools(toolsFor(archive), services.searchPath);
  await assertThawed(
    archive.objects.map(({ key }) => key),
    services,
    signal,
  );
  const source = await chooseSource(snapshot, settings, archive.point ? 'image' : 'tar', services, signal);
  using state = await beginState(
    snapshot,
    { key: settings.tagKey, value: 'validating', tagBefore: claim.tagBefore },
    services,
    signal,
  );
  let isSettled = false;
  const onEqual: OnEqual = async (proof, isWeaker) => {
    claim.confirm();
    if (proof) await noteProof(archive, proof, factsOfSnapshot(snapshot, settings.tagKey), services);
    await state.settle(provedValue(isWeaker, claim.tagBefore), cleanupSignal());
    isSettled = true;
    onDone();
  };
  try {
    const comparison = { snapshot, archive, source, settings, services, claim, signal };
    if (archive.point)
      await comparePoint(await open(archive.point, comparison), comparison, (packs) =>
        onEqual({ checks: [], packs }, packs === 'not-read'),
      );
    else await compareObjects(comparison, onEqual);
  } catch (failure) {
    if (!claim.lost.aborted)
      await noteDifference(failure, archive, factsOfSnapshot(snapshot, settings.tagKey), services);
    if (!isSettled && !claim.lost.aborted) await revertState(state, snapshot.id, settings.tagKey, services.host);
    throw failure;
  }
}

/** Called while the disk is still open, once the archive is proved. @param proof `null` if it is not recorded */
type OnEqual = (proof: Proof | null, isWeaker: boolean) => Promise<void>;

interface Comparison extends Pick<ClaimedWork, 'claim' | 'signal'> {
  snapshot: Snapshot;
  archive: Archive;
  source: Source;
  settings: ValidateSettings;
  services: Services;
}

const open = (point: FoundPoint, { settings, services, signal }: Comparison): Promise<OpenPoint> =>
  openPoint(point, { ...services, signal, streams: settings.downloadStreams, sessionKey: settings.sessionKey });

async function compareObjects(comparison: Comparison, onEqual: OnEqual): Promise<void> {
  const { snapshot, archive, source, settings, services } = comparison;
  const { objects, manifest } = archive;
  const isWholeDisk = objects.some(({ layout, partition }) => layout === 'image' && partition === null);
  const purpose = isWholeDisk ? 'image' : 'tar';
  await withSnapshotDisk(source, { ...comparison, purpose }, async (opened) => {
    const disk = await readDisk(snapshot.id, opened.device, services.host, opened.signal);
    const checks = await checkArchive(
      { ...settings, snapshotId: snapshot.id, objects, manifest, disk },
      { ...services, signal: opened.signal, streams: settings.downloadStreams, sessionKey: settings.sessionKey },
    );
    opened.signal.throwIfAborted();
    const isWeaker = settings.contentOnly || isDescriptionSealed(archive, settings);
    await onEqual(isWeaker ? null : { checks, packs: 'not-read' }, isWeaker);
  });
}

/** A weaker check does not replace the tag `validated` of an earlier full comparison. */
const provedValue = (isWeaker: boolean, tagBefore: string | null): string =>
  isWeaker && tagBefore !== VALIDATED ? CONTENT_VALIDATED : VALIDATED;

function toolsFor({ objects, point }: Archive): string[] {
  if (point) return [point.content.point.codec, ...(point.content.point.cipher === 'gpg' ? ['gpg'] : [])];
  const codecs = objects.map(({ codec }) => codec);
  return [...new Set([...codecs, ...(objects.some(({ cipher }) => cipher === 'gpg') ? ['gpg'] : [])])];
}
