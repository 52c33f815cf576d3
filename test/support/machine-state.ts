/** What this machine holds that a tidy test gives back: loop devices, mounts, device links, files and processes. */
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../lab/core/run.ts';

export async function machineState(): Promise<Set<string>> {
  const loops = (await run(['losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE'])).trim().split('\n');
  return new Set([
    ...loops.filter((line) => line !== '').map((line) => `loop device ${line.replace(/\s+/, ' ')}`),
    ...mounts().map((line) => `mount ${line}`),
    ...names('/dev', /^(sd|xvd)[a-z]/).map((name) => `device /dev/${name}`),
    ...names('/dev/disk/by-id', /Amazon_Elastic_Block_Store/).map((name) => `device link ${name}`),
    ...names(tmpdir(), /^snap-to-s3-/).map((name) => `file ${join(tmpdir(), name)}`),
    ...processes().map((line) => `process ${line}`),
  ]);
}

export const differenceOf = (before: ReadonlySet<string>, after: ReadonlySet<string>): string[] =>
  [...after].filter((thing) => !before.has(thing));

const mounts = (): string[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [device = '', target = ''] = line.split(' ');
      return device.startsWith('/dev/loop') || target.includes('snap-to-s3') ? [`${device} at ${target}`] : [];
    });

function names(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory).filter((name) => pattern.test(name));
  } catch {
    return [];
  }
}

/** Programs that this one starts, and itself. */
const OURS = /^(tar|lz4|zstd|gpg|ntfs-3g|grub-mount|radosgw|ceph-\w+)\0|src\/(bin|serving-process)\.ts|lab\/daemon\.ts/;

const processes = (): string[] =>
  names('/proc', /^\d+$/).flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return OURS.test(command) ? [`${pid} ${command.replaceAll('\0', ' ').slice(0, 100)}`] : [];
    } catch {
      return [];
    }
  });
