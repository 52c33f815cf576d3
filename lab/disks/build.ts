/** Builds disk images with real partition tables and filesystems, using the standard tools. */
import { open } from 'node:fs/promises';
import { run, runWithInput } from '../core/run.ts';
import { type Content, makeContent } from './contents.ts';
import { fillFat, type Place, withDevice, withFilesystem } from './mounted.ts';

export interface PartitionPlan {
  content: Content;
  sizeMiB: number;
  label?: string;
  /** A UUID for ext, xfs, btrfs and swap, or eight hexadecimal digits for vfat. */
  uuid?: string;
  /** Options of the program that creates an ext filesystem. */
  options?: string[];
  /** Fills the mounted filesystem. */
  populate?: (directory: string) => Promise<void>;
  /** MBR only: a logical partition inside an extended one. */
  logical?: boolean;
}

export interface DiskPlan {
  /** The image file, which must not exist yet. */
  path: string;
  table: 'none' | 'dos' | 'gpt';
  /** A disk without a table has one partition. With `dos`, logical partitions come last. */
  partitions: PartitionPlan[];
  /** Up to 446 bytes that are written to the beginning of the disk. */
  bootCode?: Buffer;
}

const MiB = 2 ** 20;
const BOOT_CODE_BYTES = 446;

const GPT_TYPES: Partial<Record<Content, string>> = {
  swap: 'S',
  vfat: 'U',
  'bios-boot': '21686148-6449-6E6F-744E-656564454649',
};

export async function buildDisk(plan: DiskPlan): Promise<void> {
  await makeEmptyDisk(plan);
  const places = plan.table === 'none' ? [null] : await makeTable(plan);
  for (const [index, partition] of plan.partitions.entries()) {
    const place = places[index];
    if (place === undefined) throw new Error(`${plan.path}: no place for partition ${index + 1} of the plan`);
    await fill(plan.path, place, partition);
  }
}

/** Partitions begin at whole MiB. A logical partition has a MiB before it, and GPT has a copy at the end. */
async function makeEmptyDisk({ path, table, partitions }: DiskPlan): Promise<void> {
  const room = table === 'none' ? 0 : 4 + 2 * partitions.length;
  await using file = await open(path, 'wx');
  await file.truncate((partitions.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0) + room) * MiB);
}

/** @returns the positions of the partitions, without extended ones. */
async function makeTable(plan: DiskPlan): Promise<Place[]> {
  await runWithInput(['sfdisk', '--quiet', plan.path], tableScript(plan));
  if (plan.bootCode) await writeBootCode(plan.path, plan.bootCode);
  const { partitiontable: table } = JSON.parse(await run(['sfdisk', '--json', plan.path])) as {
    partitiontable: { partitions?: { start: number; size: number; type: string }[] };
  };
  return (table.partitions ?? [])
    .filter(({ type }) => type !== EXTENDED)
    .map(({ start, size }) => ({ start: start * 512, size: size * 512 }));
}

const EXTENDED = '5';

/** The input of sfdisk. Logical partitions are in an extended one that takes the remaining space. */
function tableScript({ table, partitions }: DiskPlan): string {
  const lines = [`label: ${table}`];
  let extended = false;
  for (const { content, sizeMiB, logical } of partitions) {
    if (logical && !extended) lines.push(`type=${EXTENDED}`);
    extended ||= logical === true;
    const type = table === 'gpt' ? GPT_TYPES[content] : content === 'swap' ? 'S' : undefined;
    lines.push(`size=${sizeMiB}MiB${type ? `, type=${type}` : ''}`);
  }
  return `${lines.join('\n')}\n`;
}

async function writeBootCode(path: string, code: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(code, 0, Math.min(code.length, BOOT_CODE_BYTES), 0);
}

async function fill(image: string, place: Place | null, { content, populate, ...names }: PartitionPlan): Promise<void> {
  await withDevice(image, place, { readOnly: false }, async (device) => {
    await makeContent(device, content, names);
    if (populate && content === 'vfat') await fillFat(device, populate);
    else if (populate) await withFilesystem(device, content, {}, populate);
  });
}
