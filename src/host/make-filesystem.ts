/** Filesystems made anew, as they were: with their UUIDs, labels and features. */
import { SnapError } from '../errors.ts';
import { minutes } from '../lib/clock.ts';
import { runTool, ToolError } from '../transfer/process.ts';
import type { Geometry } from './filesystem-geometry.ts';

export interface WantedFilesystem {
  /** As blkid calls it; `swap` too. */
  type: string;
  uuid: string | null;
  label: string | null;
  geometry: Geometry | null;
}

interface Maker {
  tool: string;
  argv: (wanted: WantedFilesystem, known: string) => string[];
}

const option = (flag: string, value: string | null | undefined): string[] => (value ? [flag, value] : []);

/** Features that every ext driver and boot loader knows, for filesystems of which nothing is noted. */
const PLAIN_EXT: Record<string, string[]> = {
  ext2: ['ext_attr', 'resize_inode', 'dir_index', 'filetype', 'sparse_super', 'large_file'],
};
PLAIN_EXT['ext3'] = ['has_journal', ...(PLAIN_EXT['ext2'] ?? [])];
PLAIN_EXT['ext4'] = [...PLAIN_EXT['ext3'], 'extent', 'flex_bg', 'huge_file', 'dir_nlink', 'extra_isize', '64bit'];

function extOptions({ type, uuid, label, geometry }: WantedFilesystem): string[] {
  const features = geometry?.features.length ? geometry.features : (PLAIN_EXT[type] ?? []);
  return [
    '-q',
    '-F',
    ...['-t', type],
    ...['-O', ['none', ...features].join(',')],
    ...option('-b', geometry?.blockBytes?.toString()),
    ...option('-I', geometry?.inodeBytes?.toString()),
    ...option('-N', geometry?.inodes?.toString()),
    ...option('-U', uuid),
    ...option('-L', label),
  ];
}

/** Which option of mkfs.xfs a feature belongs to. */
const XFS_OPTIONS: Record<string, string> = { sparse: '-i', nrext64: '-i', ftype: '-n' };

/** @param known the help of mkfs.xfs: an older one does not make features that it does not know. */
function xfsOptions({ uuid, label, geometry }: WantedFilesystem, known: string): string[] {
  const noted = geometry?.features ?? [];
  const features = noted
    .filter((feature) => known.includes(`${feature.split('=')[0]}=0|1`))
    // With checksums there is no choice, and some versions let nobody name it.
    .filter((feature) => !(feature.startsWith('ftype=') && noted.includes('crc=1')))
    .flatMap((feature) => [XFS_OPTIONS[feature.split('=')[0] ?? ''] ?? '-m', feature]);
  return [
    ...['-q', '-f'],
    ...features,
    ...option('-b', geometry?.blockBytes ? `size=${geometry.blockBytes}` : null),
    ...option('-i', geometry?.inodeBytes ? `size=${geometry.inodeBytes}` : null),
    ...option('-m', uuid ? `uuid=${uuid}` : null),
    ...option('-L', label),
  ];
}

const fatOptions = ({ uuid, label, geometry }: WantedFilesystem): string[] => [
  ...option('-F', geometry?.features[0]?.replace('FAT', '')),
  ...option('-i', uuid?.replace('-', '')),
  ...option('-n', label),
];

const ext: Maker = { tool: 'mke2fs', argv: extOptions };

const MAKERS: Record<string, Maker> = {
  ext2: ext,
  ext3: ext,
  ext4: ext,
  xfs: { tool: 'mkfs.xfs', argv: xfsOptions },
  vfat: { tool: 'mkfs.vfat', argv: fatOptions },
  btrfs: {
    tool: 'mkfs.btrfs',
    argv: ({ uuid, label }) => ['--quiet', '--force', ...option('--uuid', uuid), ...option('--label', label)],
  },
  swap: { tool: 'mkswap', argv: ({ uuid, label }) => [...option('--uuid', uuid), ...option('--label', label)] },
};

/** The program that makes such a filesystem; `null` where none here can make it as it was. */
export const makerOf = (type: string): string | null =>
  Object.hasOwn(MAKERS, type) ? (MAKERS[type]?.tool ?? null) : null;

/** What may be said of one without meaning anything else. */
const UUID = /^([0-9a-f]{4}-[0-9a-f]{4}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** @throws SnapError `MANIFEST` */
export function checkWanted({ type, uuid, label }: WantedFilesystem): void {
  const isRight = (uuid ?? '') === '' || UUID.test(uuid ?? '');
  if (isRight && !/\0/.test(label ?? '') && (label ?? '').length <= 256) return;
  throw new SnapError('MANIFEST', `the manifest has a UUID or label of ${type} that is none`, {
    hint: 'restore the files with --to-dir',
  });
}

/** @throws SnapError `TARGET` in the words of the program that refused. */
export async function makeFilesystem(device: string, wanted: WantedFilesystem, signal: AbortSignal): Promise<void> {
  const maker = MAKERS[wanted.type];
  if (!maker) throw new SnapError('BUG', `nothing makes ${wanted.type}`);
  const known = maker.tool === 'mkfs.xfs' ? await helpOf(maker.tool, signal) : '';
  try {
    await runTool([maker.tool, ...maker.argv(wanted, known), device], { signal, within: minutes(60) });
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    const said = cause.stderr.trim().split('\n').slice(0, 3).join('; ');
    throw new SnapError('TARGET', `${wanted.type} cannot be made as it was: ${said || cause.message}`, {
      hint: `a newer ${maker.tool} may know how; --to-dir restores the files to any filesystem`,
      cause,
    });
  }
}

const helpOf = async (tool: string, signal: AbortSignal): Promise<string> => {
  const { stdout, stderr } = await runTool([tool], { signal, allowedExitCodes: [0, 1, 2] });
  return stdout + stderr;
};
