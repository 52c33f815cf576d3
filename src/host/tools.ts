/** The external programs that this one uses. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SnapError } from '../errors.ts';
import { runTool } from '../transfer/run-tool.ts';

/** Returns the first line of the output of `--version`. */
export async function versionOf(name: string, signal: AbortSignal): Promise<string> {
  const { stdout, stderr } = await runTool([name, '--version'], { signal, allowedExitCodes: [0, 1] });
  return `${stdout}\n${stderr}`.trim().split('\n')[0] ?? '';
}

/** The packages of programs whose package has another name. */
const PACKAGES: Record<string, { apt: string; dnf: string }> = {
  gpg: { apt: 'gnupg', dnf: 'gnupg2' },
  blkid: { apt: 'util-linux', dnf: 'util-linux' },
  sfdisk: { apt: 'fdisk', dnf: 'util-linux' },
  mount: { apt: 'mount', dnf: 'util-linux' },
  umount: { apt: 'mount', dnf: 'util-linux' },
  losetup: { apt: 'mount', dnf: 'util-linux' },
  mke2fs: { apt: 'e2fsprogs', dnf: 'e2fsprogs' },
  tune2fs: { apt: 'e2fsprogs', dnf: 'e2fsprogs' },
  'mkfs.xfs': { apt: 'xfsprogs', dnf: 'xfsprogs' },
  'mkfs.vfat': { apt: 'dosfstools', dnf: 'dosfstools' },
  'mkfs.btrfs': { apt: 'btrfs-progs', dnf: 'btrfs-progs' },
  flock: { apt: 'util-linux', dnf: 'util-linux' },
  mkswap: { apt: 'util-linux', dnf: 'util-linux' },
  mcopy: { apt: 'mtools', dnf: 'mtools' },
  mdir: { apt: 'mtools', dnf: 'mtools' },
  blockdev: { apt: 'util-linux', dnf: 'util-linux' },
  env: { apt: 'coreutils', dnf: 'coreutils' },
  sync: { apt: 'coreutils', dnf: 'coreutils' },
  getfattr: { apt: 'attr', dnf: 'attr' },
  mkfifo: { apt: 'coreutils', dnf: 'coreutils' },
  rm: { apt: 'coreutils', dnf: 'coreutils' },
};

/**
 * @param path the search path, in the format of `PATH`.
 * @throws SnapError `TOOL_MISSING` with all missing programs and the commands that install them.
 */
export function requireTools(names: readonly string[], path: string): void {
  const missing = names.filter((name) => !isInstalled(name, path));
  if (missing.length === 0) return;
  const packages = (manager: 'apt' | 'dnf') => [...new Set(missing.map((name) => PACKAGES[name]?.[manager] ?? name))];
  throw new SnapError('TOOL_MISSING', `not installed: ${missing.join(', ')}`, {
    hint: `apt-get install ${packages('apt').join(' ')} (Debian, Ubuntu), dnf install ${packages('dnf').join(' ')} (Amazon Linux)`,
  });
}

export const isInstalled = (name: string, path: string): boolean =>
  path.split(delimiter).some((directory) => isExecutable(join(directory, name)));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
