/** Recreates a partition table from the output of `sfdisk --json` for the original disk. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { deviceOrImageSize } from '../devices/block-devices.ts';
import { makeSparse } from '../sparse-file.ts';
import { isDropped, type NamedPartition, writeGptNames } from './gpt-names.ts';
import { isExtended } from './mbr.ts';
import { type Partition, readPartitionTable } from './partition-table.ts';

export interface TablePlan {
  label: 'dos' | 'gpt';
  /** The input for sfdisk. */
  script: string;
  /** The partitions except extended ones, which only contain others. */
  partitions: Partition[];
  /** Names that sfdisk cannot write. */
  names: NamedPartition[];
}

const SECTOR = 512;

/**
 * Plans the new table. The manifest is not trusted, so only values with an unambiguous form are passed to sfdisk.
 * Partitions are cut at the end of the disk, and those that start after it are left out.
 * @param json the output of `sfdisk --json`.
 * @param diskBytes size of the original disk.
 * @throws SnapError `MANIFEST`
 */
export function planTable(json: unknown, diskBytes: number): TablePlan {
  const table = fields(fields(json)['partitiontable']);
  const label = table['label'];
  if (label !== 'dos' && label !== 'gpt') throw damaged(`its type ${String(label)} is not supported`);
  if ((table['sectorsize'] ?? SECTOR) !== SECTOR)
    throw damaged(`sectors of ${String(table['sectorsize'])} bytes are not supported`);
  const entries: unknown = table['partitions'] ?? [];
  if (!Array.isArray(entries)) throw damaged('it has no list of partitions');
  const onDisk = entries.map(fields).filter(({ start }) => wholeNumber(start) * SECTOR < diskBytes);
  const found = onDisk.map((entry) => readEntry(entry, diskBytes));
  const head = [`label: ${label}`, `label-id: ${matching(table['id'], /^(0x)?[0-9a-f-]{1,36}$/i)}`, 'unit: sectors'];
  // Only the first usable sector is kept. The last one follows from the size of the new disk.
  if (label === 'gpt' && table['firstlba'] !== undefined) head.push(`first-lba: ${wholeNumber(table['firstlba'])}`);
  return {
    label,
    script: `${[...head, '', ...found.map(({ line }) => line)].join('\n')}\n`,
    partitions: found.map(({ partition }) => partition).filter(({ type }) => !(label === 'dos' && isExtended(type))),
    names: found.flatMap(({ partition: { number }, name }) =>
      label === 'gpt' && isDropped(name) ? [{ number, name }] : [],
    ),
  };
}

interface PlannedEntry {
  line: string;
  partition: Partition;
  name: string;
}

function readEntry(entry: Record<string, unknown>, diskBytes: number): PlannedEntry {
  const number = Number(matching(entry['node'], /[1-9]\d{0,2}$/).match(/\d+$/)?.[0]);
  const [start, length] = [wholeNumber(entry['start']), wholeNumber(entry['size'])];
  const size = Math.min(length, Math.floor(diskBytes / SECTOR) - start);
  const type = matching(entry['type'], /^[0-9a-f-]{1,36}$/i);
  if (number > 999 || size < 1) throw damaged(`partition ${number} is not valid`);
  const name = String(entry['name'] ?? '');
  if (name.includes('\ufffd')) throw damaged(`the name of partition ${number} is not valid Unicode`);
  const facts = [`start=${start}`, `size=${size}`, `type=${type}`];
  if (entry['uuid'] !== undefined && !/^[0-9a-f]+-\d+$/i.test(String(entry['uuid'])))
    facts.push(`uuid=${matching(entry['uuid'], /^[0-9a-f-]{36}$/i)}`);
  if (entry['name'] !== undefined) facts.push(`name="${escaped(name)}"`);
  if (entry['attrs'] !== undefined) facts.push(`attrs="${matching(entry['attrs'], /^[\w:, ]{0,200}$/)}"`);
  if (entry['bootable'] === true) facts.push('bootable');
  const partition = { number, start: start * SECTOR, size: size * SECTOR, type };
  // sfdisk only uses the number at the end of the name before the colon.
  return { line: `disk${number} : ${facts.join(', ')}`, partition, name };
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw damaged('it is not an object');
}

function matching(value: unknown, pattern: RegExp): string {
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw damaged(`${JSON.stringify(value)?.slice(0, 60) ?? 'a missing value'} is not valid`);
}

function wholeNumber(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 40) return value as number;
  throw damaged(`${JSON.stringify(value)?.slice(0, 60) ?? 'a missing value'} is not valid`);
}

/** Keeps letters and digits and writes any other byte as `\x2d`. */
const escaped = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => String.fromCharCode(byte))
    .map((byte) => (/\w/.test(byte) ? byte : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`))
    .join('');

const damaged = (what: string): SnapError =>
  new SnapError('MANIFEST', `the partition table in the manifest cannot be recreated: ${what}`, {
    hint: 'restore the partitions separately with --to-dir or --to-file',
  });

/**
 * Writes the table to a new disk and verifies it. The kernel does not read it, because partitions are accessed through
 * partition loop devices.
 * @throws SnapError `TARGET` if sfdisk refuses the table or writes a different one.
 */
export async function makeTable(device: string, plan: TablePlan, signal: AbortSignal): Promise<void> {
  const flags = ['--quiet', '--no-reread', '--no-tell-kernel', '--wipe=never', '--wipe-partitions=never'];
  try {
    await runTool(['sfdisk', ...flags, device], { input: Buffer.from(plan.script), signal });
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    throw new SnapError('TARGET', `the partition table cannot be created: ${cause.message}`, { cause });
  }
  if (plan.names.length > 0) await writeGptNames(device, SECTOR, plan.names);
  const made = await readPartitionTable(device, signal);
  if (made.kind === plan.label && isAsPlanned(plan, planTable(made.json, deviceOrImageSize(device)))) return;
  throw new SnapError('TARGET', `sfdisk created a different partition table on ${device} than requested`, {
    hint: 'use a newer sfdisk (util-linux)',
  });
}

/**
 * Checks on a sparse file whether sfdisk creates the table, because it reads tables that it does not write, for example
 * with overlapping partitions. The check is skipped if no file can be that large.
 * @param diskBytes size of the new disk.
 * @throws SnapError `TARGET`
 */
export async function tryMakingTable(plan: TablePlan, diskBytes: number, signal: AbortSignal): Promise<void> {
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'disk');
  if (makeSparse(file, diskBytes)) await makeTable(file, plan, signal);
}

/** Whether a new table says of each partition what was planned. sfdisk chooses what was not. */
function isAsPlanned(plan: TablePlan, made: TablePlan): boolean {
  const [planned, found] = [factsOf(plan), factsOf(made)];
  return (
    planned.length === found.length &&
    planned.every((facts, index) => facts.every((fact) => found[index]?.includes(fact)))
  );
}

/** For each partition, its number and what follows it in the input of sfdisk. */
const factsOf = ({ script }: TablePlan): string[][] =>
  script
    .slice(script.indexOf('\n\n'))
    .trim()
    .split('\n')
    .map((line) => line.split(/ : |, /));

/** Writes the boot code before an MBR table and in the gap after it. */
export async function writeBootCode(device: string, code: Buffer, gap: Buffer): Promise<void> {
  await using file = await open(device, 'r+');
  await file.write(code, 0, code.length, 0);
  await file.write(gap, 0, gap.length, SECTOR);
  await file.sync();
}
