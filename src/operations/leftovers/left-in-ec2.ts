/** Leftovers in EC2: temporary volumes and state tags. */
import type { Claim } from '../../archive/claim.ts';
import { manifestKey } from '../../archive/key.ts';
import type { Attachment, Snapshot, Volume } from '../../cloud/ports.ts';
import { pricesIn } from '../../costs/prices.ts';
import { isBeingFilled } from '../../host/volumes/volume-marks.ts';
import { ageIn } from '../shared/store-clock.ts';
import { valueAfterFailure } from '../sharing/state-tag.ts';
import type { Leftover, Survey, Trace } from './leftover.ts';

export async function leftInEc2(trace: Trace, survey: Survey): Promise<Leftover[]> {
  const volumes = trace.volumes.map((volume) => leftVolume(volume, survey));
  const tag = trace.snapshot && (await leftTag(trace.snapshot, trace, survey));
  return [...volumes, ...(tag ? [tag] : [])];
}

function leftVolume(volume: Volume, survey: Survey): Leftover {
  const [attachment] = volume.attachments.filter(({ state }) => state !== 'detached');
  return {
    kind: 'volume',
    id: volume.id,
    what: `${volume.sizeGiB} GiB ${volume.type}, ${attachment ? `attached to ${attachment.instanceId}` : volume.state}`,
    ageSeconds: ageIn(survey.clock, volume.createdAt),
    dollarsMonth: (pricesIn(survey.services.region).volumes[volume.type] ?? 0) * volume.sizeGiB,
    obstacle: isBeingFilled(volume) ? 'a restore is writing to it' : attachmentObstacle(attachment, survey),
    subject: { kind: 'volume', volume },
  };
}

/** A volume that may be mounted can be unmounted only on its instance, by root. */
function attachmentObstacle(attachment: Attachment | undefined, survey: Survey): string | null {
  if (!attachment) return null;
  const { instanceId } = attachment;
  if (instanceId !== survey.instanceId) return `it may be mounted on ${instanceId}: run this command there`;
  return process.getuid?.() === 0
    ? null
    : 'it may be mounted here, which needs root to unmount: run this command with sudo';
}

async function leftTag(snapshot: Snapshot, trace: Trace, survey: Survey): Promise<Leftover | null> {
  const { tagKey } = survey.settings;
  const value = snapshot.tags[tagKey] ?? '';
  if (value !== 'migrating' && value !== 'validating') return null;
  const claim = trace.found?.claim ?? null;
  const isComplete = await isArchived(snapshot, claim, survey);
  const before = isComplete ? 'migrated' : valueAfterFailure(claim ? claim.tagBefore : value, value);
  return {
    kind: 'tag',
    id: `${tagKey}=${value}`,
    what: before === null ? 'the tag will be removed' : `the tag will be set to ${before}`,
    ageSeconds: null,
    dollarsMonth: null,
    obstacle: tagObstacle(snapshot, trace, tagKey),
    subject: { kind: 'tag', snapshot, before },
  };
}

/** Whether the run was killed after it wrote the manifest, which completes the archive, and before it set the tag. */
export async function isArchived(
  snapshot: Snapshot,
  claim: Claim | null,
  { settings, services, signal }: Survey,
): Promise<boolean> {
  const key = manifestKey({ ...snapshot, prefix: settings.prefix, snapshotId: snapshot.id });
  const manifest = await services.store.head(key, { signal });
  return manifest !== null && (claim === null || manifest.modifiedAt >= new Date(claim.takenAt));
}

/**
 * A tag applies to the whole account, but claims to one bucket. The run of another bucket can be recognized by its
 * temporary volume.
 */
function tagObstacle({ tags }: Snapshot, { found, isUsedByOthers }: Trace, tagKey: string): string | null {
  if (found?.claim) return null;
  if (tags[`${tagKey}-id`] !== undefined)
    return `the tag ${tagKey}-id shows that version 0 of this program is using it`;
  return isUsedByOthers ? 'a temporary volume of the snapshot belongs to another bucket or prefix' : null;
}
