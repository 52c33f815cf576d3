/** The names under which an instance finds a volume: the one asked for, and the one made from its serial number. */
import { lstatSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { partitionsOf } from './loop.ts';

const BY_ID = '/dev/disk/by-id';

const serialLink = (volumeId: string): string =>
  `${BY_ID}/nvme-Amazon_Elastic_Block_Store_${volumeId.replace('-', '')}`;

/** Whether something has the name, be it a real disk or another lab's. */
export function isTaken(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A name that is taken stays what it is, also where another lab takes it at this moment: the serial number is enough. */
export function linkDevice(device: string, volumeId: string, requestedName: string): void {
  mkdirSync(BY_ID, { recursive: true });
  for (const [link, target] of linksOf(device, volumeId, requestedName)) {
    try {
      symlinkSync(target, link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Removes links that point to the device, and no others. */
export function unlinkDevice(device: string, volumeId: string, requestedName: string): void {
  for (const [link, target] of linksOf(device, volumeId, requestedName)) {
    if (isTaken(link) && pointsTo(link, target)) unlinkSync(link);
  }
}

function linksOf(device: string, volumeId: string, requestedName: string): [string, string][] {
  const serial = serialLink(volumeId);
  return [
    [requestedName, device],
    [serial, device],
    ...partitionsOf(device).flatMap((number): [string, string][] => [
      [`${requestedName}${number}`, `${device}p${number}`],
      [`${serial}-part${number}`, `${device}p${number}`],
    ]),
  ];
}

function pointsTo(link: string, target: string): boolean {
  try {
    return readlinkSync(link) === target;
  } catch {
    return false;
  }
}
