/** FAT filled where the kernel does not know it: mtools copy files to it. */
import { readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';

/** Programs that it takes. */
export const FAT_FILLERS = ['mcopy', 'mdir'];

/** Letters beyond ASCII need a locale. FAT keeps times of no zone: they are those of UTC, as for a kernel without one. */
const ENVIRONMENT = { LC_ALL: 'C.UTF-8', TZ: 'UTC' };

/**
 * Copies what is in a directory to an empty FAT. Modes and owners are nothing that FAT could keep.
 * @throws SnapError `TARGET`, `TOOL_MISSING`
 */
export async function copyToFat(directory: string, device: string, signal: AbortSignal): Promise<void> {
  const names = readdirSync(directory);
  if (names.length === 0) return;
  const options = { signal, within: minutes(60), env: ENVIRONMENT };
  const paths = names.map((name) => join(directory, name));
  try {
    for (const some of inBatches(paths, BATCH_BYTES))
      await runTool(['mcopy', '-s', '-m', '-Q', '-i', device, ...some, '::/'], options);
    const { stdout } = await runTool(['mdir', '-/', '-a', '-b', '-i', device, '::/'], options);
    await assertAllCopied(directory, stdout);
  } catch (cause) {
    throw cause instanceof ToolError ? notFilled(cause.message, cause) : cause;
  }
}

/**
 * Paths for one call: a kernel gives arguments and environment at least 128 KiB together.
 * Source: execve(2), "Limits on size of arguments and environment".
 */
const BATCH_BYTES = 64 * 1024;

/** @param most bytes of one batch; a text that is longer than that is a batch of its own. */
function inBatches(texts: readonly string[], most: number): string[][] {
  const batches: string[][] = [];
  let room = 0;
  for (const text of texts) {
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > room) {
      batches.push([]);
      room = most;
    }
    batches.at(-1)?.push(text);
    room -= bytes;
  }
  return batches;
}

/** What mcopy cannot write of a name, such as 🎉, it leaves out without a word. @param listed `::/EFI/BOOT/` */
async function assertAllCopied(directory: string, listed: string): Promise<void> {
  const made = new Set(listed.split('\n').map((line) => line.slice('::/'.length).replace(/\/$/, '')));
  const names = await readdir(directory, { recursive: true, encoding: 'utf8' });
  const lost = names.find((name) => !made.has(name));
  if (lost !== undefined) throw notFilled(`mcopy cannot write the name ${JSON.stringify(lost)}`);
}

const notFilled = (why: string, cause?: unknown): SnapError =>
  new SnapError('TARGET', `vfat cannot be filled: ${why}`, { hint: 'load the kernel module vfat', cause });
