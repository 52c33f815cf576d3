/**
 * Which block device an attached EBS volume is. Found by what identifies it, never by what appeared last.
 *
 * - Nitro: the NVMe serial number is the volume id without its hyphen; udev links it below /dev/disk/by-id, and sysfs
 *   has it where udev does not run.
 * - Xen: the device carries the name that was asked for, `sd` spelt `xvd` by most kernels. A name proves nothing
 *   about the volume behind it, so its size must be the volume's, and nothing may identify it as another volume: names
 *   that EC2 gave away long ago can still lead to somebody else's disk.
 * Source: "Amazon EBS volumes and NVMe" and "Device names for volumes" of the EBS and EC2 user guides.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SnapError } from '../errors.ts';
import { waitFor } from '../lib/wait.ts';

export interface FoundDevice {
  /** The canonical path, e.g. `/dev/nvme1n1`. */
  path: string;
  /** Bytes. */
  size: number;
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
 * @throws SnapError `DEVICE_NOT_FOUND`
 */
export async function waitForDevice(
  volumeId: string,
  requestedName: string,
  size: number,
  options: DeviceWaitOptions,
): Promise<FoundDevice> {
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

function findDevice(volumeId: string, requestedName: string, size: number): FoundDevice | null {
  const identified = bySerialLink(volumeId) ?? bySerialNumber(volumeId);
  if (identified) return { path: identified, size: deviceSize(identified) };
  const named = byName(requestedName);
  return named && !isIdentified(named) && deviceSize(named) === size ? { path: named, size } : null;
}

const BY_ID = '/dev/disk/by-id';
const EBS_LINK = 'nvme-Amazon_Elastic_Block_Store_';

const serialOf = (volumeId: string): string => volumeId.replace('-', '');

function bySerialLink(volumeId: string): string | null {
  return resolved(join(BY_ID, `${EBS_LINK}${serialOf(volumeId)}`));
}

function bySerialNumber(volumeId: string): string | null {
  for (const name of readdirSync('/sys/block').filter((entry) => /^nvme\d+n\d+$/.test(entry))) {
    const serialFile = join('/sys/block', name, 'device', 'serial');
    if (existsSync(serialFile) && readFileSync(serialFile, 'utf8').trim() === serialOf(volumeId)) return `/dev/${name}`;
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
  const twins = [requestedName, requestedName.replace('/dev/sd', '/dev/xvd')];
  const found = twins.find((path) => existsSync(path));
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
