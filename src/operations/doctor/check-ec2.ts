/** Checks of EC2: the instance, its permissions, and its limits for attached volumes. */
import { randomUUID } from 'node:crypto';
import type { Instance, Snapshot } from '../../cloud/ports.ts';
import { freeDeviceNames } from '../../host/devices/device-names.ts';
import { IN_PROGRESS } from '../../host/volumes/temporary-volume.ts';
import { ARCHIVES_TAG } from '../../host/volumes/volume-marks.ts';
import { count } from '../../lib/units.ts';
import { type AbandonedSnapshot, abandonedSnapshots } from '../sharing/abandoned-snapshots.ts';
import { archivesMark } from '../sharing/claimed-work.ts';
import { examineDirect, readOneBlock } from './check-direct-reads.ts';
import { attempt, type Examination, type Finding, ok, warning } from './findings.ts';

export async function* examineEc2(examination: Examination): AsyncGenerator<Finding> {
  const { services, settings, signal } = examination;
  if (settings.source === 'volume') yield await attempt('instance', services.instance, describeInstance);
  const snapshots: Snapshot[] = [];
  yield await attempt(
    'snapshots',
    () => services.snapshots.tagged(settings.tagKey, 'migrate', { signal }),
    (found) => {
      snapshots.push(...found);
      const size = found.reduce((sum, { sizeGiB }) => sum + sizeGiB, 0);
      return `${found.length} tagged ${settings.tagKey}=migrate in ${services.region}, ${size} GiB in total`;
    },
  );
  yield await attempt('volumes', () => leftVolumes(examination), describeVolumes);
  yield await attempt('new snapshots', () => abandonedSnapshots(services, signal), describeAbandoned);
  if (settings.source !== 'volume') yield* examineDirect(examination, snapshots[0]);
  if (settings.source !== 'direct') yield* attachedVolumes(examination, snapshots[0]);
  yield* snapshotTagging(examination, snapshots[0]);
}

const describeInstance = ({ id, type, availabilityZone }: Instance) => [id, type, availabilityZone].join(', ');

/** Checks for runs that use temporary volumes. With `auto`, only runs on an instance use them. */
async function* attachedVolumes(examination: Examination, snapshot: Snapshot | undefined): AsyncGenerator<Finding> {
  const { services, settings, signal } = examination;
  const instance = await services.instance().catch(() => null);
  if (settings.source === 'auto') {
    yield ok('instance', instance ? describeInstance(instance) : 'none: all snapshots will be read directly');
  }
  if (!instance) return;
  yield await attempt('attachments', () => services.volumes.deviceNames(instance.id, { signal }), describeNames);
  yield* volumePermissions(examination, snapshot, instance.availabilityZone);
}

const leftVolumes = ({ services, settings, signal }: Examination) =>
  services.volumes.withTags(
    { [settings.tagKey]: IN_PROGRESS, [ARCHIVES_TAG]: archivesMark(services, settings.prefix) },
    null,
    { signal },
  );

const describeVolumes = (volumes: readonly { id: string }[]) =>
  volumes.length === 0
    ? 'no temporary volumes exist'
    : warning(
        'volumes',
        `temporary volumes of other runs exist: ${volumes.map(({ id }) => id).join(', ')}`,
        'if no run is using them, remove them with: snap-to-s3 clean',
      );

/** `clean` lists each of them, too, and deletes none. */
const describeAbandoned = (snapshots: readonly AbandonedSnapshot[]) =>
  snapshots.length === 0
    ? 'interrupted restores left none'
    : warning(
        'new snapshots',
        `interrupted restores left ${snapshots.map(({ id, what }) => `${id} (${what})`).join(', ')}`,
        snapshots.map(({ id, advice }) => `${id}: ${advice}`).join('; '),
      );

/**
 * Slots that EBS volumes, network interfaces and instance store volumes share on most Nitro instances.
 * Source: "Amazon EBS volume limits for Amazon EC2 instances" in the EC2 user guide.
 */
const SHARED_SLOTS = 28;

function describeNames(attached: readonly string[]): string | Finding {
  const names = freeDeviceNames(attached).length;
  const detail = `${count(attached.length, 'volume')} attached, ${count(names, 'device name')} free`;
  if (names > 0 && attached.length < SHARED_SLOTS - 4) return detail;
  return warning(
    'attachments',
    detail,
    'detach volumes or use another instance: a run attaches one volume for each snapshot that it processes',
  );
}

/** Tries the comparison by which a run verifies a device. */
async function comparing(examination: Examination, snapshot: Snapshot): Promise<Finding> {
  const check = 'permission ebs';
  const found = await attempt(
    check,
    () => readOneBlock(examination, snapshot.id),
    () => 'allowed: runs compare devices with their snapshots',
  );
  if (found.verdict === 'ok') return found;
  const detail = `runs cannot compare devices with their snapshots before they read them: ${found.detail}`;
  return warning(check, detail, 'allow ebs:ListSnapshotBlocks and ebs:GetSnapshotBlock (docs/permissions.md)');
}

/** Tries the calls as dry runs of EC2, with the same arguments as a migration. */
async function* volumePermissions(
  examination: Examination,
  snapshot: Snapshot | undefined,
  availabilityZone: string,
): AsyncGenerator<Finding> {
  if (!snapshot) return;
  const { services, settings, signal } = examination;
  const { tagKey, prefix, volumeType } = settings;
  const tags = { [tagKey]: IN_PROGRESS, [ARCHIVES_TAG]: archivesMark(services, prefix) };
  const content = { kind: 'snapshot' as const, snapshotId: snapshot.id };
  const volume = { content, availabilityZone, type: volumeType, tags, clientToken: randomUUID() };
  yield await attempt(
    'permission CreateVolume',
    () => services.examiner.createVolume(volume, { signal }),
    () => `allowed for ${snapshot.id}`,
  );
  // With auto, examineDirect has already checked it.
  if (settings.source === 'volume') yield await comparing(examination, snapshot);
  yield ok('permissions', 'not checked: AttachVolume, DetachVolume and DeleteVolume, which need a temporary volume');
}

async function* snapshotTagging(
  { services, settings, signal }: Examination,
  snapshot: Snapshot | undefined,
): AsyncGenerator<Finding> {
  const { tagKey } = settings;
  if (!snapshot) {
    const hint = `tag a snapshot with ${tagKey}=migrate, and run the same command again`;
    yield warning('permissions', 'not checked: permissions for snapshots need a tagged snapshot', hint);
    return;
  }
  yield await attempt(
    'permission CreateTags',
    () => services.examiner.tagSnapshot(snapshot.id, tagKey, { signal }),
    () => `allowed for ${snapshot.id}`,
  );
}
