/**
 * Creates an empty EBS volume, attaches it and deletes it again unless it is kept. Until then its tags tell its purpose
 * and its process, so that volumes of killed runs are found.
 */
import type { NewVolume } from '../../cloud/ports.ts';
import type { FoundDevice } from '../devices/block-devices.ts';
import { assertEmpty } from '../devices/empty-device.ts';
import { type AttachOptions, attachDevice, type VolumeSubject, waitUntilUsable } from './attach-device.ts';
import { releaseVolume } from './release-volume.ts';
import { IN_PROGRESS } from './temporary-volume.ts';
import { ARCHIVES_TAG, holderTag, restoreTags } from './volume-marks.ts';

export interface NewVolumeOptions extends AttachOptions {
  /** Key of the tag that marks temporary volumes. */
  tagKey: string;
  volumeType: string;
  kmsKeyId: string | null;
  clientToken: string;
}

export interface EmptyVolume extends AsyncDisposable {
  volumeId: string;
  device: FoundDevice;
  /** Detaches the volume, replaces its temporary tags by these, and keeps it. */
  keep(tags: Record<string, string>): Promise<void>;
}

/**
 * @param subject the snapshot to restore. It determines the size and the encryption of the volume.
 * @throws SnapError like `attachTemporaryVolume`, after everything has been cleaned up.
 */
export async function createEmptyVolume(subject: VolumeSubject, options: NewVolumeOptions): Promise<EmptyVolume> {
  await using undo = new AsyncDisposableStack();
  const { host, volumes, instance, tagKey, signal } = options;
  let isKept = false;
  const { availabilityZone } = instance;
  host.notify({ code: 'volume.requested', snapshot: subject.id, type: options.volumeType, availabilityZone });
  const temporary = {
    Name: `snap-to-s3: ${subject.id} is being restored`,
    [tagKey]: IN_PROGRESS,
    [ARCHIVES_TAG]: options.archives,
    ...restoreTags(subject.id),
    ...holderTag(),
  };
  const volume = await volumes.create(wanted(subject, temporary, options), { signal });
  const cleanupCommand = `aws ec2 delete-volume --volume-id ${volume.id}`;
  undo.use(host.hold({ what: `volume ${volume.id} (restored from ${subject.id})`, cleanupCommand }));
  undo.defer(async () => {
    if (!isKept) await releaseVolume(volume.id, subject.id, options);
  });
  host.notify({ code: 'volume.created', snapshot: subject.id, volume: volume.id });
  await waitUntilUsable(volume.id, subject, options);
  const attachment = undo.use(new AsyncDisposableStack());
  const prove = (device: FoundDevice) => assertEmpty(device, volume.id, signal).then(() => true);
  const device = await attachDevice(volume.id, subject, { ...options, prove }, attachment);
  const cleanup = undo.move();
  const keep = async (tags: Record<string, string>) => {
    await attachment.disposeAsync();
    await volumes.setTags(volume.id, tags, { signal });
    const own = Object.keys(temporary).filter((key) => !Object.hasOwn(tags, key));
    await volumes.removeTags(volume.id, own, { signal });
    isKept = true;
  };
  return { volumeId: volume.id, device, keep, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
}

const wanted = (subject: VolumeSubject, tags: Record<string, string>, options: NewVolumeOptions): NewVolume => ({
  content: { kind: 'empty', sizeGiB: subject.sizeGiB, encrypted: subject.encrypted },
  availabilityZone: options.instance.availabilityZone,
  type: options.volumeType,
  ...(options.kmsKeyId === null ? {} : { kmsKeyId: options.kmsKeyId }),
  tags,
  clientToken: options.clientToken,
});
