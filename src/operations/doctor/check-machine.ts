/** Checks of this machine: root, programs, filesystems, directories and gpg keys. */

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { mounterOf } from '../../host/filesystems/mounts.ts';
import { checkRecipient } from '../../host/gpg-keys.ts';
import { requireTools, versionOf } from '../../host/tools.ts';
import { ANY_SNAPSHOT_ID } from '../../lib/aws-names.ts';
import { now } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
import { requireRoot, toolsForFiles } from '../shared/preflight.ts';
import { attempt, type Examination, type Finding, ok, problem, warning } from './findings.ts';

export async function* examineMachine(examination: Examination): AsyncGenerator<Finding> {
  const root = await attempt('root', requireRoot, () => `on Linux, Node ${process.versions.node}`);
  const isNeeded = examination.settings.source === 'volume';
  yield root.verdict === 'problem' && !isNeeded ? withoutRoot(root.detail) : root;
  yield* tools(examination);
  yield* filesystems(examination);
  yield* directories(examination);
  yield* keys(examination);
}

const withoutRoot = (detail: string): Finding =>
  warning(
    'root',
    `${detail}; without root, direct reads work only for whole disks (--dd)`,
    'run the same command with sudo',
  );

/** Tools whose version is not informative. */
const UNVERSIONED: ReadonlySet<string> = new Set(['mkfifo', 'umount', 'env', 'blockdev']);

async function* tools({ settings, services, signal }: Examination): AsyncGenerator<Finding> {
  const { source, recipients, codec } = settings;
  const always = [
    'mkfifo',
    'tar',
    'sfdisk',
    'blkid',
    ...toolsForFiles(source),
    ...(recipients.length > 0 ? ['gpg'] : []),
  ];
  const present = [];
  for (const name of [...always, 'getfattr', codec]) {
    const finding = await attempt(
      `tool ${name}`,
      () => requireTools([name], services.searchPath),
      () => 'installed',
    );
    if (finding.verdict === 'problem') yield always.includes(name) ? finding : onlyForSome(name, finding);
    else if (!UNVERSIONED.has(name)) present.push(await versionOf(name, signal));
  }
  if (present.length > 0) yield ok('tools', present.join('; '));
  const tar = present.find((version) => /\btar\b/.test(version));
  if (tar !== undefined && !/GNU tar/.test(tar)) {
    yield problem('tool tar', `${tar} is not GNU tar`, 'install GNU tar, and put its directory first in PATH');
  }
}

/** The level and `--validate` of the planned run are unknown. */
function onlyForSome(name: string, { check, detail, hint }: Finding): Finding {
  const flags = name === 'lz4' ? '--validate, or --compression-level 3 or higher' : '--validate';
  return warning(check, `${detail}; migrate needs it only with ${flags}`, hint ?? '');
}

/** Filesystems that are common on the disks of servers. */
const COMMON = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'vfat', 'ntfs'];

function* filesystems({ services }: Examination): Generator<Finding> {
  const mounters = COMMON.map((type) => ({ type, mounter: mounterOf(type, services.searchPath) }));
  const good = mounters.flatMap(({ type, mounter }) => (mounter === null ? [] : [`${type} (${mounter})`]));
  yield ok('filesystems', `can be mounted: ${good.join(', ')}`);
  const bad = mounters.filter(({ mounter }) => mounter === null).map(({ type }) => type);
  if (bad.length === 0) return;
  yield warning(
    'filesystems',
    `cannot be mounted here: ${bad.join(', ')}; such partitions would be stored as raw images`,
    'if you have such disks, load the kernel module, or install ntfs-3g or grub-mount',
  );
}

const MOUNT_POINT = new RegExp(`^${ANY_SNAPSHOT_ID}`);

function* directories({ settings }: Examination): Generator<Finding> {
  const { mountPoint } = settings;
  const left = existsSync(mountPoint) ? readdirSync(mountPoint).filter((name) => MOUNT_POINT.test(name)) : [];
  if (left.length > 0) {
    yield warning(
      'mount point',
      `${count(left.length, 'mount point')} of other runs in ${mountPoint}, such as ${left[0]}`,
      'if no run is using them, remove them with: snap-to-s3 clean',
    );
  } else yield ok('mount point', mountPoint);
  try {
    accessSync(tmpdir(), constants.W_OK);
  } catch {
    yield problem('temporary files', `${tmpdir()} is not writable`, 'set TMPDIR to a writable directory');
  }
}

const DAYS = 86_400_000;

async function* keys({ settings, signal }: Examination): AsyncGenerator<Finding> {
  for (const recipient of settings.recipients) {
    const check = `gpg key ${recipient}`;
    yield await attempt(
      check,
      () => checkRecipient(recipient, signal),
      (expires) => {
        if (expires === null) return 'trusted, never expires';
        const days = Math.floor((expires.getTime() - now().getTime()) / DAYS);
        const detail = `trusted, expires ${expires.toISOString().slice(0, 10)}`;
        return days > 30
          ? detail
          : warning(check, `${detail}, in ${count(days, 'day')}`, 'extend the validity of the key before then');
      },
    );
  }
}
