/**
 * What a run of tests left on this machine: loop devices, mounts, device links, files and processes.
 *
 * Other labs and other runs may work on the same machine. A thing belongs to a run if it leads into the run's own
 * directory, which everything that the run starts has as its `TMPDIR`.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** @param directory of the run, as an absolute path without symbolic links. */
export function leftBehind(directory: string): string[] {
  const loops = loopDevices(directory);
  return [
    ...[...loops].map(([device, file]) => `loop device ${device} ${file}`),
    ...mounts(directory, loops).map(({ source, target }) => `mount ${source} at ${target}`),
    ...links(loops).map((link) => `device link ${link}`),
    ...names(directory, /^snap-to-s3-/).map((name) => `file ${join(directory, name)}`),
    ...processes(directory).map(({ pid, command }) => `process ${pid} ${command}`),
  ];
}

/** @returns whether the directory leads nowhere else, so that it can be removed. */
export const isFreeOfMounts = (directory: string): boolean => mounts(directory, new Map()).length === 0;

const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

/** Devices with an image below the directory, and windows on these devices. @returns their files, by path. */
function loopDevices(directory: string): Map<string, string> {
  const all = names('/sys/block', /^loop\d+$/).flatMap((name): [string, string][] => {
    const file = readOrNull(`/sys/block/${name}/loop/backing_file`)?.trim();
    return file === undefined ? [] : [[`/dev/${name}`, file]];
  });
  const found = new Map(all.filter(([, file]) => isBelow(file, directory)));
  for (const [device, file] of all) if (found.has(file)) found.set(device, file);
  return found;
}

interface Mount {
  source: string;
  target: string;
}

function mounts(directory: string, loops: ReadonlyMap<string, string>): Mount[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => {
      const [source = '', target = ''] = line.split(' ');
      return { source, target };
    })
    .filter(({ source, target }) => isBelow(target, directory) || loops.has(diskOf(source)));
}

const diskOf = (device: string): string => device.replace(/^(\/dev\/loop\d+)p\d+$/, '$1');

/** Names of volumes that lead to one of the devices. */
function links(loops: ReadonlyMap<string, string>): string[] {
  const all = [
    ...names('/dev', /^(sd|xvd)[a-z]/).map((name) => `/dev/${name}`),
    ...names('/dev/disk/by-id', /Amazon_Elastic_Block_Store/).map((name) => `/dev/disk/by-id/${name}`),
  ];
  return all.filter((link) => {
    const target = targetOf(link);
    return target !== null && loops.has(diskOf(target));
  });
}

function targetOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch {
    return null;
  }
}

interface Process {
  pid: string;
  command: string;
}

/** A process has the directory in its environment, or in its arguments. */
const processes = (directory: string): Process[] =>
  names('/proc', /^\d+$/).flatMap((pid) => {
    const command = readOrNull(`/proc/${pid}/cmdline`) ?? '';
    const environment = readOrNull(`/proc/${pid}/environ`) ?? '';
    if (pid === String(process.pid) || !`${command}\0${environment}`.includes(directory)) return [];
    return [{ pid, command: command.replaceAll('\0', ' ').slice(0, 100) }];
  });

function names(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory).filter((name) => pattern.test(name));
  } catch {
    return [];
  }
}

/** What is in /proc and /sys can be gone by the time it is read. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
