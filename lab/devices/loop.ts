/** Provides image files as block devices: loop devices with a node for each partition. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { run } from '../core/run.ts';

/**
 * Attaches an image and creates the nodes of its partitions (`/dev/loop3p1`). `partx` creates them, because kernels
 * without partition parsers do not. For a disk without a table, it exits with 1, which is not an error.
 * @returns the path of the loop device.
 */
export async function attachImage(image: string): Promise<string> {
  const attach = ['losetup', '--find', '--show'];
  // With direct I/O, holes of the image are not copied into memory again. Not all filesystems support it.
  const device = await run([...attach, '--direct-io=on', image]).catch(() => run([...attach, image]));
  const path = device.trim();
  await run(['partx', '--add', path], [0, 1]);
  return path;
}

/** Removes the partitions first, because their nodes would outlive the device. */
export async function detachImage(device: string): Promise<void> {
  await run(['partx', '--delete', device], [0, 1]);
  await run(['losetup', '--detach', device]);
}

/** Returns the loop devices of images below a directory, by image. */
export function loopDevicesBelow(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync('/sys/block').filter((entry) => entry.startsWith('loop'))) {
    const image = imageOf(name);
    if (image?.startsWith(`${directory}/`)) found.set(image, `/dev/${name}`);
  }
  return found;
}

/** Returns the image of a loop device, even if it was deleted, or `null` if there is none. @param name e.g. `loop3`. */
export function imageOf(name: string): string | null {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8')
      .trim()
      .replace(/ \(deleted\)$/, '');
  } catch {
    return null;
  }
}

/** Detaches the loop devices of labs whose directories were deleted. No lab uses them any more. */
export async function detachOrphans(): Promise<void> {
  for (const name of readdirSync('/sys/block').filter((entry) => entry.startsWith('loop'))) {
    const [, directory] = /^(.*)\/ec2\/(?:volumes|snapshots)\/[^/]+$/.exec(imageOf(name) ?? '') ?? [];
    if (directory === undefined || existsSync(directory) || mountsOf(`/dev/${name}`).length > 0) continue;
    // Another lab may do the same at this moment.
    await detachImage(`/dev/${name}`).catch(() => {});
  }
}

/** Returns the numbers of the partitions that have device nodes. */
export const partitionsOf = (device: string): number[] =>
  readdirSync('/dev').flatMap((name) => {
    const number = name.startsWith(`${device.slice('/dev/'.length)}p`)
      ? Number(name.slice(device.length - 4))
      : Number.NaN;
    return Number.isInteger(number) ? [number] : [];
  });

/** Returns the mount points of a device and its partitions. */
export const mountsOf = (device: string): string[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [source = '', target = ''] = line.split(' ');
      return source === device || source.startsWith(`${device}p`) ? [target] : [];
    });
