/** Recreates filesystems with their original UUIDs, labels and features. */
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { makeSparse } from '../sparse-file.ts';
import {
  btrfsVariants,
  extTuning,
  extVariants,
  fatVariants,
  type KnownOptions,
  swapVariants,
  UUID,
  type WantedFilesystem,
  xfsVariants,
} from './filesystem-options.ts';
import { tryFilling } from './try-filling.ts';

export type { WantedFilesystem };

interface Maker {
  tool: string;
  variants: (wanted: WantedFilesystem, known: KnownOptions) => string[][];
  /** Options with which the tool writes nothing. */
  pretend?: string[];
  /** A second tool for settings that the first one does not have. */
  tuner?: { tool: string; argv: (wanted: WantedFilesystem) => string[] | null };
}

const ext: Maker = {
  tool: 'mke2fs',
  variants: extVariants,
  pretend: ['-n'],
  tuner: { tool: 'tune2fs', argv: extTuning },
};

const MAKERS: Record<string, Maker> = {
  ext2: ext,
  ext3: ext,
  ext4: ext,
  xfs: { tool: 'mkfs.xfs', variants: xfsVariants, pretend: ['-N'] },
  vfat: { tool: 'mkfs.vfat', variants: fatVariants },
  btrfs: { tool: 'mkfs.btrfs', variants: btrfsVariants, pretend: ['--nodiscard'] },
  swap: { tool: 'mkswap', variants: swapVariants },
};

const find = (type: string): Maker | null => (Object.hasOwn(MAKERS, type) ? (MAKERS[type] ?? null) : null);

/** Returns the programs that create such a filesystem; empty if it cannot be recreated here. */
export function makersOf(type: string): string[] {
  const maker = find(type);
  return maker ? [maker.tool, ...(maker.tuner ? [maker.tuner.tool] : [])] : [];
}

const VOLUME_ID = /^[0-9a-f]{4}-[0-9a-f]{4}$/i;

/** @throws SnapError `MANIFEST` */
export function checkWanted({ type, uuid, label }: WantedFilesystem): void {
  const isRight = (uuid ?? '') === '' || UUID.test(uuid ?? '') || VOLUME_ID.test(uuid ?? '');
  if (isRight && !/\0/.test(label ?? '') && (label ?? '').length <= 256) return;
  throw new SnapError('MANIFEST', `the manifest has an invalid UUID or label for ${type}`, {
    hint: 'restore the files with --to-dir',
  });
}

/** Creates the filesystem on a device. @throws SnapError `TARGET` with the error message of the tool */
export async function makeFilesystem(device: string, wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (!maker) throw new SnapError('BUG', `no tool creates ${wanted.type}`);
  await make(maker, [], device, wanted, signal);
  const tuning = maker.tuner?.argv(wanted);
  if (!maker.tuner || !tuning) return;
  try {
    await runTool([maker.tuner.tool, ...tuning, device], { signal, within: minutes(5) });
  } catch (cause) {
    throw cause instanceof ToolError ? refused(wanted, maker.tuner.tool, cause) : cause;
  }
}

/**
 * Checks on a sparse file of the same size whether the tools of this machine can create the filesystem. The check is
 * skipped if no file can be that large.
 * @throws SnapError `TARGET` or `TOOL_MISSING`.
 */
export async function tryMakingFilesystem(bytes: number, wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (!maker || wanted.type === 'swap') return;
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'filesystem');
  if (makeSparse(file, bytes)) await make(maker, maker.pretend ?? [], file, wanted, signal);
}

/** Checks whether the kernel of this machine can write to such a filesystem. @throws SnapError `TARGET` */
export async function tryFillingFilesystem(wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (maker) await tryFilling(wanted, (file, small) => make(maker, [], file, small, signal), signal);
}

/** Uses the first argument list that the tool accepts. Its error for the first one is the reason of a failure. */
async function make(
  maker: Maker,
  flags: readonly string[],
  device: string,
  wanted: WantedFilesystem,
  signal: AbortSignal,
): Promise<void> {
  let refusal: ToolError | null = null;
  for (const argv of maker.variants(wanted, await knownOptions(maker.tool, signal))) {
    try {
      await runTool([maker.tool, ...flags, ...argv, device], { signal, within: minutes(60) });
      return;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      refusal ??= error;
    }
  }
  if (refusal) throw refused(wanted, maker.tool, refusal);
}

function refused({ type }: WantedFilesystem, tool: string, cause: ToolError): SnapError {
  const output = cause.stderr.trim().split('\n').slice(0, 3).join('; ');
  return new SnapError('TARGET', `${type} cannot be created with its original parameters: ${output || cause.message}`, {
    hint: `use a newer ${tool}, or restore the files to any filesystem with --to-dir`,
    cause,
  });
}

async function knownOptions(tool: string, signal: AbortSignal): Promise<KnownOptions> {
  const output = async (name: string, ...argv: string[]): Promise<string> => {
    if (tool !== name) return '';
    const { stdout, stderr } = await runTool([name, ...argv], { signal, allowedExitCodes: [0, 1, 2] });
    return stdout + stderr;
  };
  return {
    xfs: await output('mkfs.xfs'),
    btrfs: {
      features: await output('mkfs.btrfs', '-O', 'list-all'),
      runtimeFeatures: await output('mkfs.btrfs', '-R', 'list-all'),
    },
  };
}
