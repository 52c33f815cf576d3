/** Provides ranges of disk images as devices, and their filesystems as directories, while they are used. */
import { mkdtempSync, readdirSync, rmdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { run } from '../core/run.ts';
import { imageOf } from '../devices/loop.ts';

/** A range of an image, in bytes. */
export interface Place {
  start: number;
  size: number;
}

/**
 * Provides a device while `use` runs, and flushes it explicitly. While another process has the device open, closing it
 * does not write the data to the image.
 * @param place the range of the image, or `null` for the whole image.
 */
export async function withDevice<T>(
  image: string,
  place: Place | null,
  options: { readOnly: boolean },
  use: (device: string) => Promise<T>,
): Promise<T> {
  const window = place ? ['--offset', String(place.start), '--sizelimit', String(place.size)] : [];
  const mode = options.readOnly ? ['--read-only'] : [];
  const device = (await run(['losetup', '--find', '--show', ...mode, ...window, image])).trim();
  try {
    return await use(device);
  } finally {
    await run(['blockdev', '--flushbufs', device]);
    const attached = imageOf(basename(device));
    await run(['losetup', '--detach', device]);
    if (attached !== null) await untilDetached(device, attached);
  }
}

const LOOK_EACH = 20;

/** The maximum time to look, in milliseconds. */
const LONGEST_LOOK = 10_000;

/** Another process that lists devices may have the device open. The kernel detaches it when that process closes it. */
async function untilDetached(device: string, image: string): Promise<void> {
  const isAttached = () => imageOf(basename(device)) === image;
  for (let waited = 0; isAttached() && waited < LONGEST_LOOK; waited += LOOK_EACH) await setTimeout(LOOK_EACH);
}

/** Another process that examines filesystems may keep one busy for a moment. @throws Error of the last `umount`. */
export async function unmount(directory: string): Promise<void> {
  for (let waited = 0; ; waited += LOOK_EACH) {
    try {
      await run(['umount', directory]);
      return;
    } catch (error) {
      if (waited >= LONGEST_LOOK || !/target is busy/.test(String(error))) throw error;
    }
    await setTimeout(LOOK_EACH);
  }
}

/** mtools copies files to and from FAT, so no kernel driver is needed. Only ASCII names are certainly preserved. */
export async function withFilesystem<T>(
  device: string,
  type: string,
  options: { mountOptions?: string },
  use: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-disk-'));
  try {
    await run(mountCommand(device, type, directory, options.mountOptions));
    try {
      return await use(directory);
    } finally {
      await unmount(directory);
    }
  } finally {
    rmdirSync(directory);
  }
}

function mountCommand(device: string, type: string, directory: string, options: string | undefined): string[] {
  const flags = options === undefined ? [] : ['-o', options];
  if (type === 'ntfs') return ['ntfs-3g', ...flags, device, directory];
  return ['mount', '-i', '-t', type, ...flags, device, directory];
}

/** Fills a directory, and copies its content to a FAT filesystem. */
export const fillFat = (device: string, fill: (directory: string) => Promise<void>): Promise<void> =>
  withStaging(async (directory) => {
    await fill(directory);
    const names = readdirSync(directory).map((name) => join(directory, name));
    if (names.length > 0) await run([...MCOPY, '-i', device, ...names, '::/']);
  });

/** Copies a FAT filesystem to a directory, to inspect it. */
export const lookAtFat = <T>(device: string, look: (directory: string) => Promise<T>): Promise<T> =>
  withStaging(async (directory) => {
    await run([...MCOPY, '-n', '-i', device, '::/', directory]);
    // The root directory has no time. The kernel driver shows this one.
    utimesSync(directory, 0, 0);
    return look(directory);
  });

/** Copies directories and times, too. FAT times have no time zone. mtools needs the locale for letters beyond ASCII. */
const MCOPY = ['env', 'LC_ALL=C.UTF-8', 'TZ=UTC', 'mcopy', '-s', '-m', '-Q'];

async function withStaging<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-fat-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
