/**
 * Links the names under which an instance finds a volume: the requested name, and the name with its serial number.
 *
 * All labs on a machine share these names. A link belongs to the lab that has taken its name, or to the lab whose
 * directory contains the image of its loop device, because a volume may be served from any image. A link of a killed
 * lab belongs to no lab. Any lab that finds it removes it.
 */
import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { isInUse } from '../core/owner.ts';
import { imageOf, partitionsOf } from './loop.ts';
import { ownerOf } from './names.ts';

const BY_ID = '/dev/disk/by-id';

const SERIAL = 'nvme-Amazon_Elastic_Block_Store_';

const serialLink = (volumeId: string): string => `${BY_ID}/${SERIAL}${volumeId.replace('-', '')}`;

/** Returns whether a real disk or another lab has the name. Removes the link of a killed lab. */
export function isTaken(path: string): boolean {
  dropIfDead(path);
  return isThere(path);
}

function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Removes all links of killed labs. Their volumes keep their devices, and a lab links them again when it restarts. */
export function dropDeadLinks(): void {
  const names = readdirSync('/dev').filter((name) => /^(sd|xvd)[a-z]/.test(name));
  const serials = namesIn(BY_ID).filter((name) => name.startsWith(SERIAL));
  for (const path of [...names.map((name) => `/dev/${name}`), ...serials.map((name) => `${BY_ID}/${name}`)]) {
    dropIfDead(path);
  }
}

/** Puts the link back if another lab has just replaced it by its own. */
function dropIfDead(path: string): void {
  const target = targetOf(path);
  if (target === null || !isDead(path, target)) return;
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (targetOf(aside) === target) unlinkSync(aside);
    else renameSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Only links to loop devices belong to labs. @param target the target of the link. */
function isDead(path: string, target: string): boolean {
  const [, loop] = /^\/dev\/(loop\d+)(?:p\d+)?$/.exec(target) ?? [];
  if (loop === undefined) return false;
  const image = imageOf(loop);
  const [, directory = null] = /^(.*)\/ec2\/volumes\/[^/]+$/.exec(image ?? '') ?? [];
  const owners = [directory, image === null ? null : (ownerOf(path) ?? ownerOf(path.replace(/\d+$/, '')))];
  return !owners.some((owner) => owner !== null && isInUse(owner));
}

/**
 * Links a device under its names. A name that is already taken is left unchanged, because the serial number is enough.
 * @param volumeId `null` if no link shows the serial number.
 */
export function linkDevice(device: string, volumeId: string | null, requestedName: string): void {
  mkdirSync(BY_ID, { recursive: true });
  for (const [link, target] of linksOf(device, volumeId, requestedName)) {
    dropIfDead(link);
    try {
      symlinkSync(target, link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Removes links only if they point to the device. */
export function unlinkDevice(device: string, volumeId: string, requestedName: string): void {
  for (const [link, target] of linksOf(device, volumeId, requestedName)) {
    if (targetOf(link) === target) unlinkSync(link);
  }
}

function linksOf(device: string, volumeId: string | null, requestedName: string): [string, string][] {
  const places: [string, string][] = [
    ['', device],
    ...partitionsOf(device).map((number): [string, string] => [String(number), `${device}p${number}`]),
  ];
  const serial = volumeId === null ? null : serialLink(volumeId);
  return places.flatMap(([number, target]): [string, string][] => [
    [`${requestedName}${number}`, target],
    ...(serial === null ? [] : ([[`${serial}${number && `-part${number}`}`, target]] as [string, string][])),
  ]);
}

function targetOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
