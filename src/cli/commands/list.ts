/** `snap-to-s3 list`: its flags, and what they mean to the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix, parseAnyKey } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { EXIT, type ExitCode, SnapError } from '../../errors.ts';
import { SNAPSHOT_ID_PATTERN } from '../../lib/aws-names.ts';
import { seconds } from '../../lib/clock.ts';
import { findFiles } from '../../operations/list/find-files.ts';
import { list } from '../../operations/list/list.ts';
import { showArchive } from '../../operations/list/show-archive.ts';
import type { Services } from '../../operations/shared/services.ts';
import type { WantedTag } from '../../operations/shared/settings/archive-filter.ts';
import type { FilesQuery } from '../../operations/shared/settings/list.ts';
import { type ArchiveFilterFlags, archiveFilterOptions, toArchiveFilter } from '../archive-filter.ts';
import type { CliContext } from '../context.ts';
import { collect, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp } from '../help.ts';
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
} from '../options.ts';
import { openHost } from '../render/open-host.ts';

/** Flags as the parser hands them over. */
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
    .argument('[archive]', 'id of a snapshot, or key of an object, whose archive is shown')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((archive: string | undefined, _flags, self: Command) => runList(archive, self.opts<ListFlags>(), context));
  return addOptionGroups(command, [
    ['Bucket:', [bucketOption(), prefixOption(), bucketOwnerOption(), downloadStreamsOption()]],
    ['Archives (default: all):', [...archiveFilterOptions(), tagOption()]],
    ['Files (of ARCHIVE; with --find, of every archive):', fileOptions()],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.someFailed, EXIT.nothingToDo], {
  [EXIT.someFailed]: 'a manifest or an index could not be read; the others are listed',
  [EXIT.nothingToDo]: 'there is no archive or no such file',
});

const DESCRIPTION = [
  'Lists the archives in a bucket, including those of version 0: whether each is complete, its size, storage class and age, its cost',
  'per month at list prices, and whether its snapshot still exists. With ARCHIVE, shows the content of its manifest, and its files.',
  'Only manifests and indexes are read, never data objects, so nothing has to be thawed. Needs neither root nor an instance.',
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
  new Option('--tag <tag...>', 'only snapshots that had these tags, as KEY or KEY=VALUE').argParser(collect(String));

const fileOptions = (): Option[] => [
  new Option('--files', 'list every file, or every file below --path'),
  new Option('--path <path...>', 'list these directories, given relative to the root of the filesystem'),
  new Option('--partition <number>', 'only this partition').argParser(wholeNumber(1, 999)),
  new Option('--find <glob...>', 'list files that match: *.conf anywhere, etc/**/*.conf from the root'),
];

async function runList(archive: string | undefined, flags: ListFlags, context: CliContext): Promise<void> {
  const run = archive === undefined ? toSearch(flags) : toShow(archive, flags);
  using host = openHost(flags, context);
  const services = await awsServices({ ...flags, storageClass: 'STANDARD' }, host, context.process.env);
  context.finish(await run(services, context.signal));
}

type Run = (services: Services, signal: AbortSignal) => Promise<ExitCode>;

/** @throws SnapError `USAGE` for flags that do not go together. */
function toSearch(flags: ListFlags): Run {
  const filter = { ...toArchiveFilter(flags), tags: (flags.tag ?? []).map(toTag) };
  const { find, downloadStreams } = flags;
  const files = toQuery(flags);
  if (!files) return (services, signal) => list(filter, services, signal);
  if (!find) throw new SnapError('USAGE', '--files, --path and --partition need ARCHIVE or --find');
  return (services, signal) => findFiles({ ...filter, files, downloadStreams }, services, signal);
}

/** @throws SnapError `USAGE` */
function toShow(archive: string, flags: ListFlags): Run {
  const { volumes, snapshots, since, until, tag, downloadStreams } = flags;
  if ([volumes, snapshots, since, until, tag].some((flag) => flag !== undefined))
    throw new SnapError('USAGE', '--volumes, --snapshots, --since, --until and --tag cannot be used with ARCHIVE');
  const passphraseWithin = PASSPHRASE_WITHIN;
  const settings = { ...toPlace(archive, flags.prefix), files: toQuery(flags), downloadStreams, passphraseWithin };
  return (services, signal) => showArchive(settings, services, signal);
}

/** A look at an archive must not hang on a dialog that nobody sees. */
const PASSPHRASE_WITHIN = seconds(60);

/** A key as `list` or the AWS CLI prints it, or an id. @throws SnapError `USAGE` */
function toPlace(archive: string, prefix: string): { prefix: string; snapshotId: string } {
  const key = archive.replace(/^s3:\/\/[^/]*\//, '');
  const parsed = parseAnyKey(key);
  if (parsed) return { prefix: parsed.prefix, snapshotId: parsed.snapshotId };
  if (!SNAPSHOT_ID_PATTERN.test(archive))
    throw new SnapError('USAGE', `${archive} is neither a snapshot id nor the key of an archive`, {
      hint: 'list without ARCHIVE shows what is there',
    });
  return { prefix: normalisePrefix(prefix), snapshotId: archive };
}

/** @returns `null` where no files were asked for. */
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

/** Bytes of a name as Latin-1; empty for the root. @throws SnapError `USAGE` */
function belowRoot(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new SnapError('USAGE', `--path ${path}: this names no file`);
  return Buffer.from(parts.join('/')).toString('latin1');
}

function toTag(text: string): WantedTag {
  const at = text.indexOf('=');
  return at < 0 ? { key: text, value: null } : { key: text.slice(0, at), value: text.slice(at + 1) };
}
