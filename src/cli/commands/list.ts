/** The command `snap-to-s3 list`: converts its flags to the settings of the operations. */
import { Command, Option } from 'commander';
import { normalisePrefix, parseAnyKey } from '../../archive/key.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { SNAPSHOT_ID_PATTERN } from '../../lib/aws-names.ts';
import { seconds } from '../../lib/clock.ts';
import type { FilesQuery } from '../../operations/shared/settings/list.ts';
import { type ArchiveFilterFlags, archiveFilterOptions, toArchiveFilter } from '../archive-filter.ts';
import type { CliContext } from '../context.ts';
import { collect, wantedTag, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp, INTERRUPTED_ONLY } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  downloadStreamsOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  REGION_OF_LIST,
} from '../options.ts';
import { type Operation, runOperation } from '../run-operation.ts';

/** The parsed flags. */
interface ListFlags extends AwsFlags, OutputFlags, ArchiveFilterFlags {
  bucket: string;
  expectedBucketOwner?: string;
  downloadStreams: number;
  tag?: string[];
  files?: true;
  path?: string[];
  partition?: number;
  find?: string[];
}

export function listCommand(context: CliContext): Command {
  const command = new Command('list')
    .summary('list the archives in a bucket, or the files in an archive')
    .description(DESCRIPTION)
    .usage('[ARCHIVE] --bucket BUCKET [OPTIONS]')
    .argument('[archive]', 'archive to show: a snapshot id, or the key of an object of the archive')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((archive: string | undefined, _flags, self: Command) => runList(archive, self.opts<ListFlags>(), context));
  return addOptionGroups(command, [
    ['Bucket:', [bucketOption(), prefixOption(), bucketOwnerOption(), downloadStreamsOption()]],
    ['Archives (default: all):', [...archiveFilterOptions(), tagOption()]],
    ['Files (of ARCHIVE; with --find, of every archive):', fileOptions()],
    ['AWS:', awsOptions(REGION_OF_LIST)],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.someFailed, EXIT.nothingToDo, EXIT.differs], {
  ...INTERRUPTED_ONLY,
  [EXIT.someFailed]: 'a manifest or an index could not be read; the others are listed',
  [EXIT.nothingToDo]: 'no archive or file was found',
  [EXIT.differs]: 'an index is damaged, missing or replaced; the others are searched',
});

const DESCRIPTION = [
  'Lists the archives in a bucket, including those of version 0: whether each is complete, its size, storage class and age, its cost',
  'per month at list prices, and whether its snapshot still exists. With ARCHIVE, shows the manifest of this archive, and its files.',
  'Reads manifests and indexes but no data objects, so nothing needs to be thawed. Needs neither root nor an instance.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 list --bucket backups.example.com
  snap-to-s3 list --bucket backups.example.com --volumes vol-0123456789abcdef0 --since 2026-01-01 --json
  snap-to-s3 list --bucket backups.example.com --tag Environment=production
  snap-to-s3 list snap-0123456789abcdef0 --bucket backups.example.com
  snap-to-s3 list snap-0123456789abcdef0 --bucket backups.example.com --path etc/nginx
  snap-to-s3 list --bucket backups.example.com --find '*.sqlite' 'var/lib/**/*.db' --since 2026-01-01
`;

const tagOption = (): Option =>
  new Option('--tag <tag...>', 'only archives of snapshots with these tags, as KEY or KEY=VALUE').argParser(
    collect(String),
  );

const fileOptions = (): Option[] => [
  new Option('--files', 'list all files, or all files below --path'),
  new Option('--path <path...>', 'list these directories; paths are relative to the root of the filesystem'),
  new Option('--partition <number>', 'only this partition, 1 to 999 (default: all)').argParser(wholeNumber(1, 999)),
  new Option('--find <glob...>', 'list matching files: *.conf in any directory, etc/**/*.conf from the root'),
];

async function runList(archive: string | undefined, flags: ListFlags, context: CliContext): Promise<void> {
  await runOperation(flags, context, archive === undefined ? toSearch(flags) : toShow(archive, flags));
}

/** @throws SnapError `USAGE` if flags conflict. */
function toSearch(flags: ListFlags): Operation {
  const filter = { ...toArchiveFilter(flags), tags: (flags.tag ?? []).map(wantedTag) };
  const { find, downloadStreams } = flags;
  const files = toQuery(flags);
  if (!files) {
    return async (services, signal) => {
      const { list } = await import('../../operations/list/list.ts');
      return list(filter, services, signal);
    };
  }
  if (!find) throw new SnapError('USAGE', '--files, --path and --partition need ARCHIVE or --find');
  return async (services, signal) => {
    const { findFiles } = await import('../../operations/list/find-files.ts');
    return findFiles({ ...filter, files, downloadStreams }, services, signal);
  };
}

/** @throws SnapError `USAGE` */
function toShow(archive: string, flags: ListFlags): Operation {
  const { volumes, snapshots, since, until, tag, downloadStreams } = flags;
  if ([volumes, snapshots, since, until, tag].some((flag) => flag !== undefined))
    throw new SnapError('USAGE', '--volumes, --snapshots, --since, --until and --tag cannot be used with ARCHIVE');
  const passphraseWithin = PASSPHRASE_WITHIN;
  const settings = { ...toPlace(archive, flags.prefix), files: toQuery(flags), downloadStreams, passphraseWithin };
  return async (services, signal) => {
    const { showArchive } = await import('../../operations/list/show-archive.ts');
    return showArchive(settings, services, signal);
  };
}

/** `list` must not wait forever for a passphrase dialog of gpg that the user does not see. */
const PASSPHRASE_WITHIN = seconds(60);

/**
 * @param archive a snapshot id, or a key in the format of `list` or the AWS CLI.
 * @throws SnapError `USAGE` if it is neither.
 */
function toPlace(archive: string, prefix: string): { prefix: string; snapshotId: string } {
  const key = archive.replace(/^s3:\/\/[^/]*\//, '');
  const parsed = parseAnyKey(key);
  if (parsed) return { prefix: parsed.prefix, snapshotId: parsed.snapshotId };
  if (!SNAPSHOT_ID_PATTERN.test(archive))
    throw new SnapError('USAGE', `${archive} is neither a snapshot id nor the key of an archive`, {
      hint: 'run list without ARCHIVE to see the archives in the bucket',
    });
  return { prefix: normalisePrefix(prefix), snapshotId: archive };
}

/** @returns `null` if no files are to be listed. */
function toQuery({ files, path, find, partition }: ListFlags): FilesQuery | null {
  if (!files && !path && !find && partition === undefined) return null;
  const isListing = path !== undefined && !files && !find;
  return {
    how: isListing ? 'within' : 'below',
    paths: (path ?? []).map(belowRoot),
    globs: find ?? [],
    partition: partition ?? null,
  };
}

/**
 * The path in the form that indexes use: its bytes as Latin-1, empty for the root.
 * @throws SnapError `USAGE` if the path contains `..`.
 */
function belowRoot(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new SnapError('USAGE', `--path ${path}: a path must not contain ..`);
  return Buffer.from(parts.join('/')).toString('latin1');
}
