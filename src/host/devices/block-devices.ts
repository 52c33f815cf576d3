/**
 * Finds the block device of an attached EBS volume by its identity, not by the order in which devices appear.
 *
 * - Nitro: the NVMe serial number is the volume id without its hyphen. udev creates a link below /dev/disk/by-id, and
 * sysfs has the serial number if udev does not run.
 * - Xen: the device has the requested name, except that most kernels write `xvd` instead of `sd`. The name does not
 * prove which volume it is: a name that EC2 assigned earlier may still belong to another disk. The size must therefore
 * match the volume, and nothing may identify the device as another volume. Only its content proves that it is the right
 * one (`operations/source/prove-device.ts`). Source: "Amazon EBS volumes and NVMe" and "Device names for volumes" of
 * the EBS and EC2 user guides.
 */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { waitFor } from '../../lib/wait.ts';
import { runTool } from '../../transfer/run-tool.ts';

export interface FoundDevice {
  /** The canonical path, e.g. `/dev/nvme1n1`. */
  path: string;
  /** Size in bytes. */
  size: number;
}

/** A device that was found for a volume. */
export interface LocatedDevice extends FoundDevice {
  /** `name` means that only the name and the size match, which proves nothing. */
  identifiedBy: 'serial' | 'name';
}

export interface DeviceWaitOptions {
  signal: AbortSignal;
  /** Milliseconds to wait for the device. */
  within: number;
}

/**
 * Waits for the device of a volume. EC2 reports `attached` before the kernel has created the device.
 * @param requestedName the name passed to AttachVolume, e.g. `/dev/sdf`.
 * @param size size of the volume in bytes.
 * @throws SnapError `DEVICE_NOT_FOUND` after the wait; `WRONG_DEVICE` immediately if the link of the volume points to a
 * missing or another device.
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
      hint: 'compare lsblk --output NAME,SERIAL,SIZE with the volume; the instance may need a reboot',
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
    throw wrongLink(volumeId, link, `points to ${readlinkSync(link)}, which does not exist`);
  }
  const serial = serialNumberOf(device);
  if (serial !== null && serial !== serialOf(volumeId))
    throw wrongLink(volumeId, link, `points to ${device}, which has the serial number ${serial}`);
  const found = sizeOrNull(device);
  if (found === size) return device;
  throw wrongLink(volumeId, link, `points to ${device}, whose size is ${found ?? 'unknown'} instead of ${size} bytes`);
}

const wrongLink = (volumeId: string, link: string, why: string): SnapError =>
  new SnapError('WRONG_DEVICE', `the link ${link} of ${volumeId} ${why}`, {
    hint: 'remove the link or let udev recreate it (udevadm trigger), then run the same command again',
  });

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

/** @returns `null` for devices without a serial number. */
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

/** A device with a serial number that was not found by that number belongs to another volume. */
function isIdentified(device: string): boolean {
  if (/^\/dev\/nvme/.test(device)) return true;
  const links = existsSync(BY_ID) ? readdirSync(BY_ID).filter((name) => name.startsWith(EBS_LINK)) : [];
  return links.some((name) => resolved(join(BY_ID, name)) === device);
}

/** @returns `null` for missing links. Links may vanish at any time. */
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

/** Returns the size of a device in bytes. sysfs counts in units of 512 bytes for all sector sizes. */
export const deviceSize = (path: string): number =>
  Number(readFileSync(join('/sys/class/block', basename(path), 'size'), 'utf8')) * 512;

/** Returns where a partition starts on its disk, in bytes; `null` for other devices. */
export function deviceStart(path: string): number | null {
  const file = join('/sys/class/block', basename(path), 'start');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) * 512 : null;
}

/** Returns the size in bytes of a device or of an image file. */
export function deviceOrImageSize(path: string): number {
  const found = statSync(path);
  return found.isBlockDevice() ? deviceSize(realpathSync(path)) : found.size;
}

/**
 * Returns the sectors written since the device was created, which shows whether something else has written to it.
 * Source: block/stat.rst of the kernel.
 */
export const sectorsWritten = (path: string): number =>
  Number(
    readFileSync(join('/sys/class/block', basename(realpathSync(path)), 'stat'), 'utf8')
      .trim()
      .split(/\s+/)[6],
  );

/** Sectors that the kernel reads ahead, which leads to requests of 1 MiB. */
const READ_AHEAD = '2048';

/** Lets the kernel read ahead on a device, or only what is needed. Files that are open already keep what they had. */
export async function setReadAhead(path: string, isAhead: boolean, signal: AbortSignal): Promise<void> {
  await runTool(['blockdev', '--setra', isAhead ? READ_AHEAD : '0', path], { signal });
}
