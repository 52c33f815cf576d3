/**
 * Which block device an attached EBS volume is. Found by what identifies it, never by what appeared last.
 *
 * - Nitro: the NVMe serial number is the volume id without its hyphen; udev links it below /dev/disk/by-id, and sysfs
 *   has it where udev does not run.
 * - Xen: the device carries the name that was asked for, `sd` spelt `xvd` by most kernels. A name proves nothing
 *   about the volume behind it, so its size must be the volume's, and nothing may identify it as another volume: names
 *   that EC2 gave away long ago can still lead to somebody else's disk. That what is found is the volume is only proved
 *   by what is on it: `operations/prove-device.ts`.
 * Source: "Amazon EBS volumes and NVMe" and "Device names for volumes" of the EBS and EC2 user guides.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { waitFor } from '../../lib/wait.ts';

export interface FoundDevice {
  /** The canonical path, e.g. `/dev/nvme1n1`. */
  path: string;
  /** Bytes. */
  size: number;
}

/** A device that was found for a volume. */
export interface LocatedDevice extends FoundDevice {
  /** `name`: the name that was asked for and the size are the volume's, which proves nothing. */
  identifiedBy: 'serial' | 'name';
}

export interface DeviceWaitOptions {
  signal: AbortSignal;
  /** Milliseconds. */
  within: number;
}

/**
 * EC2 says `attached` before the kernel has made the device.
 * @param requestedName as given to AttachVolume, e.g. `/dev/sdf`.
 * @param size of the volume in bytes.
 * @throws SnapError `DEVICE_NOT_FOUND`; `WRONG_DEVICE`, at once, where the link of the volume leads to nothing or elsewhere.
 */
export async function waitForDevice(
  volumeId: string,
  requestedName: string,
  size: number,
  options: DeviceWaitOptions,
): Promise<LocatedDevice> {
  const look = async () => {
    const device = findDevice(volumeId, requestedName, size);
    return { verdict: device ? ('done' as const) : ('again' as const), value: device, seen: 'no device' };
  };
  try {
    const device = await waitFor(look, { what: `the device of ${volumeId}`, ...options });
    if (device) return device;
  } catch (cause) {
    if (!(cause instanceof SnapError) || cause.code !== 'WAIT_TIMEOUT') throw cause;
  }
  throw new SnapError(
    'DEVICE_NOT_FOUND',
    `${volumeId} is attached as ${requestedName}, but no device appeared for it`,
    {
      hint: 'compare lsblk --output NAME,SERIAL,SIZE with the volume; a reboot of the instance may be needed',
    },
  );
}

function findDevice(volumeId: string, requestedName: string, size: number): LocatedDevice | null {
  const identified = bySerialLink(volumeId, size) ?? bySerialNumber(volumeId);
  if (identified) return { path: identified, size: deviceSize(identified), identifiedBy: 'serial' };
  const named = byName(requestedName);
  if (!named || isIdentified(named) || deviceSize(named) !== size) return null;
  return { path: named, size, identifiedBy: 'name' };
}

const BY_ID = '/dev/disk/by-id';
const EBS_LINK = 'nvme-Amazon_Elastic_Block_Store_';

const serialOf = (volumeId: string): string => volumeId.replace('-', '');

/** @throws SnapError `WRONG_DEVICE` */
function bySerialLink(volumeId: string, size: number): string | null {
  const link = join(BY_ID, `${EBS_LINK}${serialOf(volumeId)}`);
  const device = resolved(link);
  if (device === null) {
    if (!isLink(link)) return null;
    throw wrongLink(volumeId, link, `leads to ${readlinkSync(link)}, which does not exist`);
  }
  const serial = serialNumberOf(device);
  if (serial !== null && serial !== serialOf(volumeId))
    throw wrongLink(volumeId, link, `leads to ${device}, which has the serial number ${serial}`);
  const found = sizeOrNull(device);
  if (found === size) return device;
  throw wrongLink(volumeId, link, `leads to ${device}, which has ${found ?? 'no'} bytes, not ${size}`);
}

const wrongLink = (volumeId: string, link: string, why: string): SnapError =>
  new SnapError('WRONG_DEVICE', `the link of ${volumeId}, ${link}, ${why}`, {
    hint: 'remove the link, or let udev make it again (udevadm trigger); then run the same command again',
  });

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** `null` for devices that have none. */
function serialNumberOf(device: string): string | null {
  const file = join('/sys/block', basename(device), 'device', 'serial');
  return device.startsWith('/dev/nvme') && existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

function sizeOrNull(device: string): number | null {
  try {
    return deviceSize(device);
  } catch {
    return null;
  }
}

function bySerialNumber(volumeId: string): string | null {
  for (const name of readdirSync('/sys/block').filter((entry) => /^nvme\d+n\d+$/.test(entry))) {
    if (serialNumberOf(`/dev/${name}`) === serialOf(volumeId)) return `/dev/${name}`;
  }
  return null;
}

/** A device that has a serial number was looked for by it already: it is another volume. */
function isIdentified(device: string): boolean {
  if (/^\/dev\/nvme/.test(device)) return true;
  const links = existsSync(BY_ID) ? readdirSync(BY_ID).filter((name) => name.startsWith(EBS_LINK)) : [];
  return links.some((name) => resolved(join(BY_ID, name)) === device);
}

/** Links can vanish while they are looked at. */
function resolved(link: string): string | null {
  try {
    return realpathSync(link);
  } catch {
    return null;
  }
}

function byName(requestedName: string): string | null {
  const candidates = [requestedName, requestedName.replace('/dev/sd', '/dev/xvd')];
  const found = candidates.find((path) => existsSync(path));
  return found === undefined ? null : resolved(found);
}

/** Sysfs counts in units of 512 bytes, whatever the sectors of the device are. */
export const deviceSize = (path: string): number =>
  Number(readFileSync(join('/sys/class/block', basename(path), 'size'), 'utf8')) * 512;

/** Bytes of a device, or of a file that is the image of one. */
export function lengthOf(path: string): number {
  const found = statSync(path);
  return found.isBlockDevice() ? deviceSize(realpathSync(path)) : found.size;
}

/** Since the device came to be: tells whether somebody has written to it. Source: the kernel's block/stat.rst. */
export const sectorsWritten = (path: string): number =>
  Number(
    readFileSync(join('/sys/class/block', basename(realpathSync(path)), 'stat'), 'utf8')
      .trim()
      .split(/\s+/)[6],
  );
