/**
 * Builds the options with which tools recreate filesystems.
 *
 * The parameters come from a manifest, which is not trusted: numbers are passed as decimal numbers, and texts only if
 * they have an expected form.
 */
import type { Geometry } from './superblocks/geometry.ts';

export interface WantedFilesystem {
  /** The type that blkid reports, including `swap`. */
  type: string;
  uuid: string | null;
  label: string | null;
  geometry: Geometry | null;
}

/** The options that the tools on this machine support. */
export interface KnownOptions {
  /** The usage message of mkfs.xfs. */
  xfs: string;
  /** The feature lists of mkfs.btrfs. */
  btrfs: { features: string; runtimeFeatures: string };
}

/** Alternative argument lists, the most faithful one first: a tool may refuse what an older version created. */
type Variants = string[][];

const option = (flag: string, value: string | number | null | undefined): string[] =>
  value === null || value === undefined || value === '' || value === 0 ? [] : [flag, String(value)];

/** A recorded number; `null` if it is missing. */
function numberOf({ geometry }: WantedFilesystem, name: string): number | null {
  const value = geometry?.made?.[name];
  return typeof value === 'number' ? value : null;
}

function textOf({ geometry }: WantedFilesystem, name: string, allowed: RegExp): string | null {
  const value = geometry?.made?.[name];
  return typeof value === 'string' && allowed.test(value) ? value : null;
}

/** Features that every ext driver and boot loader supports, for filesystems without recorded features. */
const PLAIN_EXT2 = ['ext_attr', 'resize_inode', 'dir_index', 'filetype', 'sparse_super', 'large_file'];
const PLAIN_EXT3 = ['has_journal', ...PLAIN_EXT2];
const PLAIN_EXT4 = [...PLAIN_EXT3, 'extent', 'flex_bg', 'huge_file', 'dir_nlink', 'extra_isize', '64bit'];
const PLAIN_EXT: Record<string, string[]> = { ext2: PLAIN_EXT2, ext3: PLAIN_EXT3, ext4: PLAIN_EXT4 };

const MIB = 2 ** 20;

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function extVariants(wanted: WantedFilesystem): Variants {
  const { type, uuid, label, geometry } = wanted;
  // An empty list is valid: it belongs to the first revision.
  const features = geometry ? geometry.features : (PLAIN_EXT[type] ?? []);
  const [blocks, reserved] = [numberOf(wanted, 'blocks'), numberOf(wanted, 'reservedBlocks')];
  const journal = numberOf(wanted, 'journalBytes');
  const blocksPerGroup = numberOf(wanted, 'blocksPerGroup');
  const isUsual = blocksPerGroup === 8 * (geometry?.blockBytes ?? 0) || features.includes('bigalloc');
  const plain = [
    ...['-q', '-F', '-t', type],
    ...(numberOf(wanted, 'revision') === 0 ? ['-r', '0'] : []),
    ...['-O', ['none', ...features].join(',')],
    ...option('-b', geometry?.blockBytes),
    ...option('-I', numberOf(wanted, 'revision') === 0 ? null : geometry?.inodeBytes),
    ...option('-N', geometry?.inodes),
    ...option('-U', uuid),
    ...option('-L', label),
    ...(blocks && reserved !== null ? ['-m', String((100 * reserved) / blocks)] : []),
    ...option('-C', numberOf(wanted, 'clusterBytes')),
  ];
  const extended = extendedOptions(wanted);
  const exact = [
    ...plain,
    ...(features.includes('has_journal') && journal ? ['-J', `size=${Math.max(1, Math.floor(journal / MIB))}`] : []),
    ...(extended === '' ? [] : ['-E', extended]),
    ...(features.includes('flex_bg') ? option('-G', numberOf(wanted, 'flexGroup')) : []),
    ...(isUsual ? [] : option('-g', blocksPerGroup)),
  ];
  return [exact, plain];
}

/** Returns the value of the option `-E` of mke2fs. */
function extendedOptions(wanted: WantedFilesystem): string {
  const kinds = textOf(wanted, 'quotas', /^(usr|grp|prj)(-(usr|grp|prj))*$/)?.split('-') ?? [];
  const values: [string, string | number | null][] = [
    ['hash_seed', textOf(wanted, 'hashSeed', UUID)],
    ['stride', numberOf(wanted, 'strideBlocks')],
    ['stripe_width', numberOf(wanted, 'stripeBlocks')],
    ['quotatype', kinds.length === 0 ? null : kinds.map((kind) => `${kind}quota`).join(':')],
  ];
  return values.flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`])).join(',');
}

/** Names of the bits of `s_default_mount_opts`. Source: tune2fs(8), option `-o`. */
const MOUNT_OPTIONS: [number, string][] = [
  [0x1, 'debug'],
  [0x2, 'bsdgroups'],
  [0x4, 'user_xattr'],
  [0x8, 'acl'],
  [0x10, 'uid16'],
  [0x100, 'nobarrier'],
  [0x200, 'block_validity'],
  [0x400, 'discard'],
  [0x800, 'nodelalloc'],
];
const DATA_MODES: Record<number, string> = {
  32: 'journal_data',
  64: 'journal_data_ordered',
  96: 'journal_data_writeback',
};
const ON_ERRORS: Record<number, string> = { 1: 'continue', 2: 'remount-ro', 3: 'panic' };

/** Options of tune2fs for settings that mke2fs does not have; `null` if none are recorded. */
export function extTuning(wanted: WantedFilesystem): string[] | null {
  const mask = numberOf(wanted, 'mountOptions');
  if (mask === null) return null;
  const mode = DATA_MODES[mask & 0x60];
  const options = MOUNT_OPTIONS.map(([bit, name]) => `${mask & bit ? '' : '^'}${name}`);
  const reserved = numberOf(wanted, 'reservedBlocks');
  const hash = textOf(wanted, 'hash', /^(legacy|half_md4|tea)$/);
  return [
    ...['-o', [...options, ...(mode === undefined ? [] : [mode])].join(',')],
    ...(reserved === null ? [] : ['-r', String(reserved)]),
    ...option('-u', numberOf(wanted, 'reservedUser')),
    ...option('-g', numberOf(wanted, 'reservedGroup')),
    ...option('-e', ON_ERRORS[numberOf(wanted, 'errors') ?? 0]),
    ...['-c', String(numberOf(wanted, 'maxMountCount') ?? 0), '-i', `${numberOf(wanted, 'checkInterval') ?? 0}s`],
    ...(hash === null ? [] : ['-E', `hash_alg=${hash}`]),
  ];
}

/** For example `[-m crc=0|1,finobt=0|1]`, over several lines. */
const XFS_SECTION = /\[-(\w)\s+([^\]]*)\]/g;

/**
 * Sets every feature that the tool knows, because versions differ in their defaults. Features that are not recorded are
 * switched off.
 * @param usage the usage message of mkfs.xfs.
 */
function xfsFeatures(noted: readonly string[], usage: string): string[] {
  const values = new Map(noted.map((feature) => splitFeature(feature)));
  const isNew = values.get('crc') !== '0';
  // With checksums, some features are always on, and old versions reject options for them.
  const isChosen = ({ name }: XfsSwitch): boolean => !(isNew && ALWAYS_WITH_CHECKSUMS.has(name));
  const argv = xfsSwitches(usage)
    .filter(isChosen)
    .flatMap(({ flag, name }) => (noted.length === 0 ? [] : [`-${flag}`, `${name}=${values.get(name) ?? '0'}`]));
  const attr = isNew ? undefined : values.get('attr');
  if (attr !== undefined) argv.push('-i', `attr=${attr}`);
  if (values.get('ascii-ci') === '1') argv.push('-n', 'version=ci');
  return argv;
}

interface XfsSwitch {
  /** The option that has the switch, such as `m`. */
  flag: string;
  name: string;
}

const xfsSwitches = (usage: string): XfsSwitch[] =>
  [...usage.matchAll(XFS_SECTION)].flatMap(([, flag = '', body = '']) =>
    [...body.matchAll(/([\w-]+)=0\|1/g)].map(([, name = '']) => ({ flag, name })),
  );

const ALWAYS_WITH_CHECKSUMS = new Set(['ftype', 'lazy-count', 'projid32bit', 'attr']);

const splitFeature = (feature: string): [string, string] => {
  const [name = '', value = '1'] = feature.split('=');
  return [name, value];
};

export function xfsVariants(wanted: WantedFilesystem, { xfs: usage }: KnownOptions): Variants {
  const { uuid, label, geometry } = wanted;
  const blockBytes = geometry?.blockBytes ?? 0;
  const bytes = (name: string): number => (numberOf(wanted, name) ?? 0) * blockBytes;
  const size = (flag: string, name: string, value: number): string[] => (value > 0 ? [flag, `${name}=${value}`] : []);
  const plain = [
    ...['-q', '-f'],
    ...size('-b', 'size', blockBytes),
    ...xfsFeatures(geometry?.features ?? [], usage),
    ...size('-i', 'size', geometry?.inodeBytes ?? 0),
    ...size('-s', 'size', numberOf(wanted, 'sectorBytes') ?? 0),
    ...(uuid ? ['-m', `uuid=${uuid}`] : []),
    ...option('-L', label),
  ];
  const sectors = (name: string): number => bytes(name) / 512;
  const exact = [
    ...plain,
    ...size('-i', 'maxpct', numberOf(wanted, 'inodePercent') ?? 0),
    ...size('-n', 'size', numberOf(wanted, 'directoryBytes') ?? 0),
    ...size('-d', 'agsize', bytes('groupBlocks')),
    ...(bytes('stripeBlocks') > 0 ? ['-d', `sunit=${sectors('stripeBlocks')},swidth=${sectors('widthBlocks')}`] : []),
    ...(numberOf(wanted, 'logStart') ? size('-l', 'size', bytes('logBlocks')) : []),
    ...size('-l', 'version', numberOf(wanted, 'logVersion') ?? 0),
  ];
  // Since xfsprogs 5.19, filesystems below 300 MiB need this option. Source: mkfs.xfs, `validate_supported`.
  return [exact, ['--unsupported', ...exact], plain, ['--unsupported', ...plain]];
}

/** By default mkfs.vfat aligns its tables and reserved sectors to clusters. */
function isAligned(wanted: WantedFilesystem): boolean {
  const cluster = numberOf(wanted, 'clusterSectors') || 1;
  return ['reservedSectors', 'tableSectors'].every((name) => (numberOf(wanted, name) ?? 0) % cluster === 0);
}

export function fatVariants(wanted: WantedFilesystem): Variants {
  const { uuid, label, geometry } = wanted;
  const bits = geometry?.features.find((feature) => /^FAT(12|16|32)$/.test(feature))?.slice('FAT'.length);
  const plain = [
    ...option('-F', bits),
    ...option('-i', uuid?.replace('-', '')),
    ...option('-n', label),
    ...option('-s', numberOf(wanted, 'clusterSectors')),
    ...option('-S', numberOf(wanted, 'sectorBytes')),
  ];
  const media = numberOf(wanted, 'media');
  const exact = [
    ...(isAligned(wanted) ? [] : ['-a']),
    ...plain,
    ...option('-R', numberOf(wanted, 'reservedSectors')),
    ...option('-f', numberOf(wanted, 'tables')),
    ...option('-r', numberOf(wanted, 'rootEntries')),
    ...option('-h', numberOf(wanted, 'hiddenSectors')),
    ...(media === null ? [] : ['-M', `0x${media.toString(16)}`]),
  ];
  return [exact, plain, [...option('-F', bits), ...option('-i', uuid?.replace('-', '')), ...option('-n', label)]];
}

const BTRFS_PROFILE = /^(single|dup)$/;

export function btrfsVariants(wanted: WantedFilesystem, { btrfs }: KnownOptions): Variants {
  const { uuid, label, geometry } = wanted;
  const values = new Map((geometry?.features ?? []).map((feature) => splitFeature(feature)));
  const isMixed = values.get('mixed-bg') === '1';
  const features = namesIn(btrfs.features);
  const runtime = namesIn(btrfs.runtimeFeatures).filter((name) => !features.includes(name));
  const plain = [
    ...['--quiet', '--force'],
    ...option('--uuid', uuid),
    ...option('--label', label),
    ...btrfsFeatures('-O', values, features),
    ...btrfsFeatures('-R', values, runtime),
    ...option('--sectorsize', geometry?.blockBytes),
    ...option('--nodesize', numberOf(wanted, 'nodeBytes')),
    ...option('--csum', textOf(wanted, 'checksum', /^(crc32c|xxhash|sha256|blake2)$/)),
  ];
  const [data, metadata] = isMixed ? ['mixedProfile', 'mixedProfile'] : ['dataProfile', 'metadataProfile'];
  const profiles = [
    ...(isMixed ? ['--mixed'] : []),
    ...option('--data', textOf(wanted, data, BTRFS_PROFILE)),
    ...option('--metadata', textOf(wanted, metadata, BTRFS_PROFILE)),
  ];
  // Below 109 MiB, two copies of all metadata do not fit, and even smaller filesystems need mixed block groups.
  return [
    [...plain, ...profiles],
    [...plain, '--data', 'single', '--metadata', 'single'],
    [...plain, '--mixed', '--data', 'single', '--metadata', 'single'],
  ];
}

/** Each line starts with a name. Newer versions list all features together. */
const namesIn = (list: string): string[] => [...list.matchAll(/^([a-z][\w-]*)\s+- /gm)].map(([, name = '']) => name);

function btrfsFeatures(flag: string, values: ReadonlyMap<string, string>, known: readonly string[]): string[] {
  const wanted = known
    .filter((name) => name !== 'mixed-bg' && values.has(name))
    .map((name) => (values.get(name) === '1' ? name : `^${name}`));
  return wanted.length === 0 ? [] : [flag, wanted.join(',')];
}

/** Kernels use only swap areas with the page size of their processor. */
export const swapVariants = ({ uuid, label, geometry }: WantedFilesystem): Variants => [
  [...option('--pagesize', geometry?.blockBytes), ...option('--uuid', uuid), ...option('--label', label)],
];
