/**
 * A new, empty EBS volume, attached here to be filled. It is deleted unless it is kept in the end; until then its tags
 * say what it is for and by whom, so that what a killed run has left is found.
 */
import type { FoundDevice } from '../devices/block-devices.ts';
import { assertEmpty } from '../devices/empty-device.ts';
import { giveVolumeBack } from './give-volume-back.ts';
import {
  type AttachOptions,
  attachedDevice,
  becomesUsable,
  IN_PROGRESS,
  type VolumeSubject,
} from './temporary-volume.ts';
import { ARCHIVES_TAG, fillingMarks, holderMark } from './volume-marks.ts';

export interface NewVolumeOptions extends AttachOptions {
  /** Key of the tag that marks temporary volumes. */
  tagKey: string;
  volumeType: string;
  kmsKeyId: string | null;
  clientToken: string;
}

export interface FilledVolume extends AsyncDisposable {
  volumeId: string;
  device: FoundDevice;
  /** Detaches it, gives it these tags instead of its own, and lets it stay. */
  keep(tags: Record<string, string>): Promise<void>;
}

/**
 * @param subject the snapshot that is restored; its size and encryption are those of the volume.
 * @throws SnapError as `attachTemporaryVolume` does, after everything that was made was given back.
 */
export async function makeVolume(subject: VolumeSubject, options: NewVolumeOptions): Promise<FilledVolume> {
  await using undo = new AsyncDisposableStack();
  const { host, volumes, instance, tagKey, signal } = options;
  let isKept = false;
  const { availabilityZone } = instance;
  host.notify({ code: 'volume.requested', snapshot: subject.id, type: options.volumeType, availabilityZone });
  const temporary = {
    Name: `snap-to-s3: ${subject.id} is being restored`,
    [tagKey]: IN_PROGRESS,
    [ARCHIVES_TAG]: options.archives,
    ...fillingMarks(subject.id),
    ...holderMark(),
  };
  const volume = await volumes.create(wanted(subject, temporary, options), { signal });
  const cleanupCommand = `aws ec2 delete-volume --volume-id ${volume.id}`;
  undo.use(host.hold({ what: `volume ${volume.id} (restored from ${subject.id})`, cleanupCommand }));
  undo.defer(async () => {
    if (!isKept) await giveVolumeBack(volume.id, subject.id, options);
  });
  host.notify({ code: 'volume.created', snapshot: subject.id, volume: volume.id });
  await becomesUsable(volume.id, subject, options);
  const attachment = undo.use(new AsyncDisposableStack());
  const prove = (device: FoundDevice) => assertEmpty(device, volume.id, signal).then(() => true);
  const device = await attachedDevice(volume.id, subject, { ...options, prove }, attachment);
  const given = undo.move();
  const keep = async (tags: Record<string, string>) => {
    await attachment.disposeAsync();
    await volumes.setTags(volume.id, tags, { signal });
    const own = Object.keys(temporary).filter((key) => !Object.hasOwn(tags, key));
    await volumes.removeTags(volume.id, own, { signal });
    isKept = true;
  };
  return { volumeId: volume.id, device, keep, [Symbol.asyncDispose]: () => given.disposeAsync() };
}

const wanted = (subject: VolumeSubject, tags: Record<string, string>, options: NewVolumeOptions) => ({
  content: { sizeGiB: subject.sizeGiB, encrypted: subject.encrypted },
  availabilityZone: options.instance.availabilityZone,
  type: options.volumeType,
  ...(options.kmsKeyId === null ? {} : { kmsKeyId: options.kmsKeyId }),
  tags,
  clientToken: options.clientToken,
});
