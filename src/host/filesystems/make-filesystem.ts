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

/** How a filesystem differs from the original, because its tool refused the exact form. */
export interface Simplification {
  /** The options that were left out, such as `-J size=4`. */
  omitted: string[];
  /** The options that were given instead, such as `--mixed`. */
  added: string[];
  /** The error message of the tool for the exact form. */
  reason: string;
}

/**
 * Creates the filesystem on a device.
 * @returns `null` if it has all recorded parameters.
 * @throws SnapError `TARGET` with the error message of the tool
 */
export async function makeFilesystem(
  device: string,
  wanted: WantedFilesystem,
  signal: AbortSignal,
): Promise<Simplification | null> {
  const maker = find(wanted.type);
  if (!maker) throw new SnapError('BUG', `no tool creates ${wanted.type}`);
  const simplification = await make(maker, [], device, wanted, signal);
  const tuning = maker.tuner?.argv(wanted);
  if (!maker.tuner || !tuning) return simplification;
  try {
    await runTool([maker.tuner.tool, ...tuning, device], { signal, within: minutes(5) });
  } catch (cause) {
    throw cause instanceof ToolError ? refused(wanted, maker.tuner.tool, cause) : cause;
  }
  return simplification;
}

/**
 * Checks on a sparse file of the same size whether the tools of this machine can create the filesystem. The check is
 * skipped if no file can be that large.
 * @returns as `makeFilesystem` does.
 * @throws SnapError `TARGET` or `TOOL_MISSING`.
 */
export async function tryMakingFilesystem(
  bytes: number,
  wanted: WantedFilesystem,
  signal: AbortSignal,
): Promise<Simplification | null> {
  const maker = find(wanted.type);
  if (!maker || wanted.type === 'swap') return null;
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'filesystem');
  return makeSparse(file, bytes) ? await make(maker, maker.pretend ?? [], file, wanted, signal) : null;
}

/** Checks whether the kernel of this machine can write to such a filesystem. @throws SnapError `TARGET` */
export async function tryFillingFilesystem(wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (maker) await tryFilling(wanted, (file, small) => make(maker, [], file, small, signal), signal);
}

/**
 * Uses the first argument list that the tool accepts. Its error for the first one is the reason of a failure.
 * @returns how this one differs from the first one; `null` if the filesystem is the same.
 */
async function make(
  maker: Maker,
  flags: readonly string[],
  device: string,
  wanted: WantedFilesystem,
  signal: AbortSignal,
): Promise<Simplification | null> {
  let refusal: ToolError | null = null;
  const variants = maker.variants(wanted, await knownOptions(maker.tool, signal));
  for (const argv of variants) {
    try {
      await runTool([maker.tool, ...flags, ...argv, device], { signal, within: minutes(60) });
      return refusal && simplificationOf(variants[0] ?? [], argv, messageOf(refusal));
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      refusal ??= error;
    }
  }
  if (refusal) throw refused(wanted, maker.tool, refusal);
  return null;
}

/** It permits small filesystems, and does not change them. */
const PERMISSION = '--unsupported';

function simplificationOf(exact: readonly string[], used: readonly string[], reason: string): Simplification | null {
  const omitted = surplusOptions(exact, used);
  const added = surplusOptions(used, exact).filter((option) => option !== PERMISSION);
  return omitted.length + added.length > 0 ? { omitted, added, reason } : null;
}

/** Returns the options of one command that another one does not have with the same values, in their order. */
function surplusOptions(argv: readonly string[], other: readonly string[]): string[] {
  const rest = optionsIn(other);
  return optionsIn(argv).filter((option) => {
    const at = rest.indexOf(option);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** Joins each option with its value. Options start with `-`, values do not. */
function optionsIn(argv: readonly string[]): string[] {
  const options: string[] = [];
  for (const argument of argv) {
    if (argument.startsWith('-') || options.length === 0) options.push(argument);
    else options.push(`${options.pop()} ${argument}`);
  }
  return options;
}

function refused({ type }: WantedFilesystem, tool: string, cause: ToolError): SnapError {
  return new SnapError('TARGET', `${type} cannot be created with its original parameters: ${messageOf(cause)}`, {
    hint: `use a newer ${tool}, or restore the files to any filesystem with --to-dir`,
    cause,
  });
}

const messageOf = ({ stderr, message }: ToolError): string =>
  stderr.trim().split('\n').slice(0, 3).join('; ') || message;

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
