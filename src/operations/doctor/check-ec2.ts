/** EC2: the instance, what it may do, and room for one more volume. */
import { randomUUID } from 'node:crypto';
import type { Instance, Snapshot } from '../../cloud/ports.ts';
import { freeDeviceNames } from '../../host/devices/device-names.ts';
import { IN_PROGRESS } from '../../host/volumes/temporary-volume.ts';
import { ARCHIVES_TAG } from '../../host/volumes/volume-marks.ts';
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
      return `${found.length} tagged ${settings.tagKey}=migrate in ${services.region}, of volumes of ${size} GiB`;
    },
  );
  yield await attempt('volumes', () => leftVolumes(examination), describeVolumes);
  if (settings.source !== 'volume') yield* examineDirect(examination, snapshots[0]);
  if (settings.source !== 'direct') yield* attachedVolumes(examination, snapshots[0]);
  yield* snapshotTagging(examination, snapshots[0]);
}

const describeInstance = ({ id, type, availabilityZone }: Instance) => [id, type, availabilityZone].join(', ');

/** What a run needs that makes volumes. With `auto`, it does only on an instance. */
async function* attachedVolumes(examination: Examination, snapshot: Snapshot | undefined): AsyncGenerator<Finding> {
  const { services, settings, signal } = examination;
  const instance = await services.instance().catch(() => null);
  if (settings.source === 'auto') {
    yield ok('instance', instance ? describeInstance(instance) : 'none: all snapshots are read directly');
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
    ? 'no temporary volumes are left'
    : warning(
        'volumes',
        `temporary volumes are there: ${volumes.map(({ id }) => id).join(', ')}`,
        'see: snap-to-s3 clean',
      );

/**
 * Slots that EBS volumes, network interfaces and instance stores of most Nitro instances share.
 * Source: "Amazon EBS volume limits for Amazon EC2 instances" of the EC2 user guide.
 */
const SHARED_SLOTS = 28;

function describeNames(held: readonly string[]): string | Finding {
  const names = freeDeviceNames(held).length;
  const detail = `${held.length} volumes are attached, ${names} device names are free`;
  if (names > 0 && held.length < SHARED_SLOTS - 4) return detail;
  return warning(
    'attachments',
    detail,
    'detach volumes, or run on an instance with room: a run attaches one at a time',
  );
}

/** As a run does before it trusts a device. */
async function comparing(examination: Examination, snapshot: Snapshot): Promise<Finding> {
  const check = 'permission ebs';
  const found = await attempt(
    check,
    () => readOneBlock(examination, snapshot.id),
    () => 'allowed: devices are compared with their snapshots',
  );
  if (found.verdict === 'ok') return found;
  const detail = `devices cannot be compared with their snapshots before they are read: ${found.detail}`;
  return warning(check, detail, 'allow ebs:ListSnapshotBlocks and ebs:GetSnapshotBlock: docs/permissions.md');
}

/** Asked of EC2 as dry runs, with the very arguments of a run. */
async function* volumePermissions(
  examination: Examination,
  snapshot: Snapshot | undefined,
  availabilityZone: string,
): AsyncGenerator<Finding> {
  if (!snapshot) return;
  const { services, settings, signal } = examination;
  const { tagKey, prefix, volumeType } = settings;
  const tags = { [tagKey]: IN_PROGRESS, [ARCHIVES_TAG]: archivesMark(services, prefix) };
  const content = { snapshotId: snapshot.id };
  const volume = { content, availabilityZone, type: volumeType, tags, clientToken: randomUUID() };
  yield await attempt(
    'permission CreateVolume',
    () => services.examiner.createVolume(volume, { signal }),
    () => `allowed, of ${snapshot.id}`,
  );
  // With auto, it has been tried already.
  if (settings.source === 'volume') yield await comparing(examination, snapshot);
  yield ok('permissions', 'AttachVolume, DetachVolume and DeleteVolume cannot be tried without a volume of a run');
}

async function* snapshotTagging(
  { services, settings, signal }: Examination,
  snapshot: Snapshot | undefined,
): AsyncGenerator<Finding> {
  const { tagKey } = settings;
  if (!snapshot) {
    const hint = `tag a snapshot ${tagKey}=migrate, and run this again`;
    yield warning('permissions', 'what is done with snapshots cannot be tried without one', hint);
    return;
  }
  yield await attempt(
    'permission CreateTags',
    () => services.examiner.tagSnapshot(snapshot.id, tagKey, { signal }),
    () => `allowed, on ${snapshot.id}`,
  );
}
