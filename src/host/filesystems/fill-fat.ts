/** Copies files to a FAT filesystem with mtools, for kernels without a FAT driver. */
import { readdirSync } from 'node:fs';
import { lstat, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';

/** The programs that this requires. */
export const FAT_FILLERS = ['mcopy', 'mdir'];

/** Names beyond ASCII need a locale. FAT stores times without a time zone; archives treat them as UTC. */
const ENVIRONMENT = { LC_ALL: 'C.UTF-8', TZ: 'UTC' };

/**
 * Copies the content of a directory to an empty FAT filesystem. FAT does not store modes and owners.
 * @throws SnapError `TARGET` or `TOOL_MISSING`.
 */
export async function copyToFat(directory: string, device: string, signal: AbortSignal): Promise<void> {
  const names = readdirSync(directory);
  if (names.length === 0) return;
  await clampTimes(directory);
  const options = { signal, within: minutes(60), env: ENVIRONMENT };
  const paths = names.map((name) => join(directory, name));
  try {
    for (const some of toBatches(paths, BATCH_BYTES))
      await runTool(['mcopy', '-s', '-m', '-Q', '-i', device, ...some, '::/'], options);
    const { stdout } = await runTool(['mdir', '-/', '-a', '-b', '-i', device, '::/'], options);
    await assertAllCopied(directory, stdout);
  } catch (cause) {
    throw cause instanceof ToolError ? notFilled(cause.message, cause) : cause;
  }
}

/** The first time that FAT can store, in seconds since the epoch. */
const EARLIEST = Date.UTC(1980, 0, 1) / 1000;

/** mcopy turns the beginning of 1970, which files without a time get, into 2098. The kernel does the same as this. */
async function clampTimes(directory: string): Promise<void> {
  for (const name of await readdir(directory, { recursive: true })) {
    const path = join(directory, name);
    if ((await lstat(path)).mtimeMs < 1000 * EARLIEST) await utimes(path, EARLIEST, EARLIEST);
  }
}

/**
 * Maximum bytes of paths in one call. Kernels allow at least 128 KiB for arguments and environment together. Source:
 * execve(2), "Limits on size of arguments and environment".
 */
const BATCH_BYTES = 64 * 1024;

/** @param maximum bytes of one batch. A longer text becomes a batch of its own. */
function toBatches(texts: readonly string[], maximum: number): string[][] {
  const batches: string[][] = [];
  let room = 0;
  for (const text of texts) {
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > room) {
      batches.push([]);
      room = maximum;
    }
    batches.at(-1)?.push(text);
    room -= bytes;
  }
  return batches;
}

/** mcopy silently skips names that it cannot write, such as 🎉. @param listed lines such as `::/EFI/BOOT/` */
async function assertAllCopied(directory: string, listed: string): Promise<void> {
  const made = new Set(listed.split('\n').map((line) => line.slice('::/'.length).replace(/\/$/, '')));
  const names = await readdir(directory, { recursive: true, encoding: 'utf8' });
  const lost = names.find((name) => !made.has(name));
  if (lost !== undefined) throw notFilled(`mcopy cannot write the name ${JSON.stringify(lost)}`);
}

const notFilled = (why: string, cause?: unknown): SnapError =>
  new SnapError('TARGET', `files cannot be copied to the vfat filesystem: ${why}`, {
    hint: 'load the kernel module vfat',
    cause,
  });
