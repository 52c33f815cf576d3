/**
 * Finds what a test run left on this machine: loop devices, mounts, device links, files and processes.
 *
 * Other labs and other runs may use the same machine. A resource belongs to a run if it refers to the directory of the
 * run, which is the `TMPDIR` of everything that the run starts.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** @param directory the directory of the run, as an absolute path without symbolic links. */
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

/** @returns whether the directory contains no mounts, so that it can be removed. */
export const isFreeOfMounts = (directory: string): boolean => mounts(directory, new Map()).length === 0;

const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

/** Finds devices with an image below the directory, and their partition loop devices. @returns their files, by path. */
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

/** Returns the volume links that point to one of the devices. */
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

/** Finds processes with the directory in their environment or arguments. */
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

/** Entries of /proc and /sys may disappear before they are read. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
