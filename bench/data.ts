/** Builds the disk of the benchmarks, which has one filesystem with real files of this machine. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/core/run.ts';
import { buildDisk } from '../lab/disks/build.ts';

/** Builds an ext4 disk of `diskMiB` with about `treeMiB` of files. */
export async function buildBenchDisk(path: string, treeMiB: number, diskMiB: number): Promise<void> {
  const populate = (directory: string) => fill(directory, treeMiB * 2 ** 20);
  await buildDisk({ path, table: 'none', partitions: [{ content: 'ext4', sizeMiB: diskMiB, populate }] });
}

/** Copies the same files again to another directory if this machine has too few. */
async function fill(directory: string, bytes: number): Promise<void> {
  let total = 0;
  for (let copy = 1; total < bytes * 0.98; copy++) {
    const into = join(directory, `copy ${copy}`);
    mkdirSync(into);
    total += await copyFiles(into, bytes - total);
  }
}

async function copyFiles(into: string, most: number): Promise<number> {
  const places = ['/usr/bin', '/usr/lib', '/usr/share', '/usr/sbin', '/root', '/opt'];
  const listing = await run(['find', ...places, '-xdev', '-type', 'f', '-printf', '%s %p\\0'], [0, 1]);
  const chosen: string[] = [];
  let total = 0;
  for (const line of listing.split('\0')) {
    const size = Number(line.slice(0, line.indexOf(' ')));
    if (line === '' || total + size > most) continue;
    total += size;
    chosen.push(line.slice(line.indexOf(' ') + 1));
  }
  const list = join(into, 'list');
  writeFileSync(list, chosen.join('\0'));
  const copy = 'tar -C / --null --files-from="$1" --create 2>/dev/null | tar -x -C "$2" 2>/dev/null';
  await run(['bash', '-c', copy, 'copy', list, into], [0, 1, 2]);
  return total;
}
