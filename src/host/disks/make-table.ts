/** A partition table made anew, from what `sfdisk --json` said of the old one. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { makeSparse } from '../sparse-file.ts';
import { isExtended, type Partition, readPartitionTable } from './partition-table.ts';

export interface TablePlan {
  label: 'dos' | 'gpt';
  /** The input of sfdisk. */
  script: string;
  /** Extended ones left out. */
  partitions: Partition[];
}

const SECTOR = 512;

/**
 * A table comes from a manifest: nothing of it reaches sfdisk unless it can mean nothing else. Partitions end with the
 * disk, whatever the old table said, and those that began beyond its end are left out.
 * @param json as `sfdisk --json` printed it.
 * @param diskBytes of the old disk.
 * @throws SnapError `MANIFEST`
 */
export function planTable(json: unknown, diskBytes: number): TablePlan {
  const table = fields(fields(json)['partitiontable']);
  const label = table['label'];
  if (label !== 'dos' && label !== 'gpt') throw damaged(`a table of type ${String(label)}`);
  if ((table['sectorsize'] ?? SECTOR) !== SECTOR) throw damaged(`sectors of ${String(table['sectorsize'])} bytes`);
  const entries: unknown = table['partitions'] ?? [];
  if (!Array.isArray(entries)) throw damaged('no list of partitions');
  const onDisk = entries.map(fields).filter(({ start }) => wholeNumber(start) * SECTOR < diskBytes);
  const found = onDisk.map((entry) => readEntry(entry, diskBytes));
  const head = [`label: ${label}`, `label-id: ${matching(table['id'], /^(0x)?[0-9a-f-]{1,36}$/i)}`, 'unit: sectors'];
  // The first usable sector; the last one is told by the size of the new disk.
  if (label === 'gpt' && table['firstlba'] !== undefined) head.push(`first-lba: ${wholeNumber(table['firstlba'])}`);
  return {
    label,
    script: `${[...head, '', ...found.map(({ line }) => line)].join('\n')}\n`,
    partitions: found.map(({ partition }) => partition).filter(({ type }) => !(label === 'dos' && isExtended(type))),
  };
}

function readEntry(entry: Record<string, unknown>, diskBytes: number): { line: string; partition: Partition } {
  const number = Number(matching(entry['node'], /[1-9]\d{0,2}$/).match(/\d+$/)?.[0]);
  const [start, length] = [wholeNumber(entry['start']), wholeNumber(entry['size'])];
  const size = Math.min(length, Math.floor(diskBytes / SECTOR) - start);
  const type = matching(entry['type'], /^[0-9a-f-]{1,36}$/i);
  if (number > 999 || size < 1) throw damaged(`partition ${number}`);
  const facts = [`start=${start}`, `size=${size}`, `type=${type}`];
  if (entry['uuid'] !== undefined && !/^[0-9a-f]+-\d+$/i.test(String(entry['uuid'])))
    facts.push(`uuid=${matching(entry['uuid'], /^[0-9a-f-]{36}$/i)}`);
  if (entry['name'] !== undefined) facts.push(`name="${escaped(String(entry['name']))}"`);
  if (entry['attrs'] !== undefined) facts.push(`attrs="${matching(entry['attrs'], /^[\w:, ]{0,200}$/)}"`);
  if (entry['bootable'] === true) facts.push('bootable');
  const partition = { number, start: start * SECTOR, size: size * SECTOR, type };
  // Of the name before the colon, only the number counts.
  return { line: `disk${number} : ${facts.join(', ')}`, partition };
}

function fields(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw damaged('no table');
}

function matching(value: unknown, pattern: RegExp): string {
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw damaged(JSON.stringify(value)?.slice(0, 60) ?? 'nothing');
}

function wholeNumber(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 40) return value as number;
  throw damaged(JSON.stringify(value)?.slice(0, 60) ?? 'nothing');
}

/** Letters and digits as they are, any other byte as `\x2d`. */
const escaped = (name: string): string =>
  [...Buffer.from(name)]
    .map((byte) => String.fromCharCode(byte))
    .map((byte) => (/\w/.test(byte) ? byte : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`))
    .join('');

const damaged = (what: string): SnapError =>
  new SnapError('MANIFEST', `the partition table in the manifest has ${what}, which cannot be made anew`, {
    hint: 'restore the partitions one by one with --to-dir or --to-file',
  });

/**
 * Writes the table to a new disk, and reads it again. The kernel is not told: partitions are used through windows.
 * @throws SnapError `TARGET` when sfdisk refuses it, or something else came of it.
 */
export async function makeTable(device: string, plan: TablePlan, signal: AbortSignal): Promise<void> {
  const flags = ['--quiet', '--no-reread', '--no-tell-kernel', '--wipe=never', '--wipe-partitions=never'];
  try {
    await runTool(['sfdisk', ...flags, device], { input: Buffer.from(plan.script), signal });
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    throw new SnapError('TARGET', `the partition table cannot be made: ${cause.message}`, { cause });
  }
  const made = await readPartitionTable(device, signal);
  if (made.kind === plan.label && describe(made.partitions) === describe(plan.partitions)) return;
  throw new SnapError('TARGET', `sfdisk made another partition table on ${device} than it was told to`, {
    hint: 'a newer sfdisk (util-linux) may know how',
  });
}

/**
 * Whether sfdisk makes the table: it reads more than it writes, such as partitions that overlap. Tried on a sparse file,
 * which is removed again; where no file can be that large, nothing is tried.
 * @param diskBytes of the disk that it is for.
 * @throws SnapError `TARGET`
 */
export async function tryMakingTable(plan: TablePlan, diskBytes: number, signal: AbortSignal): Promise<void> {
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'disk');
  if (makeSparse(file, diskBytes)) await makeTable(file, plan, signal);
}

const describe = (partitions: readonly Partition[]): string =>
  partitions
    .map(({ number, start, size, type }) => `${number} ${start} ${size} ${type.toLowerCase()}`)
    .sort()
    .join('\n');

/** Boot code before the table, and with `dos` behind it. */
export async function writeBootCode(device: string, code: Buffer, gap: Buffer): Promise<void> {
  await using file = await open(device, 'r+');
  await file.write(code, 0, code.length, 0);
  await file.write(gap, 0, gap.length, SECTOR);
  await file.sync();
}
