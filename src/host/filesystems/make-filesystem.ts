/** Filesystems made anew, as they were: with their UUIDs, labels and features. */
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import { minutes } from '../../lib/clock.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import { makeSparse } from '../sparse-file.ts';
import {
  btrfsWays,
  extTuning,
  extWays,
  fatWays,
  type KnownOptions,
  swapWays,
  UUID,
  type WantedFilesystem,
  xfsWays,
} from './filesystem-options.ts';
import { tryFilling } from './try-filling.ts';

export type { WantedFilesystem };

interface Maker {
  tool: string;
  ways: (wanted: WantedFilesystem, known: KnownOptions) => string[][];
  /** What keeps it from writing, where it knows that. */
  pretend?: string[];
  /** Sets what it cannot. */
  tuner?: { tool: string; argv: (wanted: WantedFilesystem) => string[] | null };
}

const ext: Maker = {
  tool: 'mke2fs',
  ways: extWays,
  pretend: ['-n'],
  tuner: { tool: 'tune2fs', argv: extTuning },
};

const MAKERS: Record<string, Maker> = {
  ext2: ext,
  ext3: ext,
  ext4: ext,
  xfs: { tool: 'mkfs.xfs', ways: xfsWays, pretend: ['-N'] },
  vfat: { tool: 'mkfs.vfat', ways: fatWays },
  btrfs: { tool: 'mkfs.btrfs', ways: btrfsWays, pretend: ['--nodiscard'] },
  swap: { tool: 'mkswap', ways: swapWays },
};

const find = (type: string): Maker | null => (Object.hasOwn(MAKERS, type) ? (MAKERS[type] ?? null) : null);

/** The programs that make such a filesystem; none where nothing here can make it as it was. */
export function makersOf(type: string): string[] {
  const maker = find(type);
  return maker ? [maker.tool, ...(maker.tuner ? [maker.tuner.tool] : [])] : [];
}

const VOLUME_ID = /^[0-9a-f]{4}-[0-9a-f]{4}$/i;

/** @throws SnapError `MANIFEST` */
export function checkWanted({ type, uuid, label }: WantedFilesystem): void {
  const isRight = (uuid ?? '') === '' || UUID.test(uuid ?? '') || VOLUME_ID.test(uuid ?? '');
  if (isRight && !/\0/.test(label ?? '') && (label ?? '').length <= 256) return;
  throw new SnapError('MANIFEST', `the manifest has a UUID or label of ${type} that is none`, {
    hint: 'restore the files with --to-dir',
  });
}

/** @throws SnapError `TARGET` in the words of the program that refused. */
export async function makeFilesystem(device: string, wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (!maker) throw new SnapError('BUG', `nothing makes ${wanted.type}`);
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
 * Whether the programs of this machine make it, tried on a sparse file of that size, which is removed again. Where no file
 * can be that large, nothing is tried.
 * @throws SnapError `TARGET`, `TOOL_MISSING`
 */
export async function tryMakingFilesystem(bytes: number, wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (!maker || wanted.type === 'swap') return;
  await using directory = temporaryDirectory();
  const file = join(directory.path, 'filesystem');
  if (makeSparse(file, bytes)) await make(maker, maker.pretend ?? [], file, wanted, signal);
}

/** Whether the kernel of this machine fills it with files. @throws SnapError `TARGET` */
export async function tryFillingFilesystem(wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = find(wanted.type);
  if (maker) await tryFilling(wanted, (file, small) => make(maker, [], file, small, signal), signal);
}

/** The first way that the program takes. What it says to the first one is the reason. */
async function make(
  maker: Maker,
  flags: readonly string[],
  device: string,
  wanted: WantedFilesystem,
  signal: AbortSignal,
): Promise<void> {
  let refusal: ToolError | null = null;
  for (const argv of maker.ways(wanted, await knownOptions(maker.tool, signal))) {
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
  const said = cause.stderr.trim().split('\n').slice(0, 3).join('; ');
  return new SnapError('TARGET', `${type} cannot be made as it was: ${said || cause.message}`, {
    hint: `a newer ${tool} may know how; --to-dir restores the files to any filesystem`,
    cause,
  });
}

async function knownOptions(tool: string, signal: AbortSignal): Promise<KnownOptions> {
  const asked = async (name: string, ...argv: string[]): Promise<string> => {
    if (tool !== name) return '';
    const { stdout, stderr } = await runTool([name, ...argv], { signal, allowedExitCodes: [0, 1, 2] });
    return stdout + stderr;
  };
  return {
    xfs: await asked('mkfs.xfs'),
    btrfs: {
      features: await asked('mkfs.btrfs', '-O', 'list-all'),
      runtimeFeatures: await asked('mkfs.btrfs', '-R', 'list-all'),
    },
  };
}
