/** `snap-to-s3 list`: its flags, and what they mean to the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { list } from '../../operations/list.ts';
import type { ListSettings } from '../../operations/settings.ts';
import type { CliContext } from '../context.ts';
import { collect, date, matching } from '../flag-values.ts';
import { EXIT_STATUS_HELP } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  SNAPSHOT_ID,
} from '../options.ts';
import { openHost } from '../render/open-host.ts';

/** Flags as the parser hands them over. */
interface ListFlags extends AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  volumes?: string[];
  snapshots?: string[];
  since?: Date;
  until?: Date;
}

export function listCommand(context: CliContext): Command {
  const command = new Command('list')
    .summary('show the archives in a bucket')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS_HELP)
    .action((_flags, self: Command) => runList(self.opts<ListFlags>(), context));
  return addOptionGroups(command, [
    ['Where to look:', [bucketOption(), prefixOption(), bucketOwnerOption()]],
    ['Which archives (all, if nothing is given):', choiceOptions()],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ]);
}

const DESCRIPTION = [
  'Shows what the bucket holds, archives of version 0 included: whether each is complete, its size, class and age, what it',
  'costs a month at list prices, and whether its snapshot still exists. Objects are listed, never read, so nothing has to',
  'be restored from an archive class. Needs neither root nor an instance.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 list --bucket backups.example.com
  snap-to-s3 list --bucket backups.example.com --volumes vol-0123456789abcdef0 --since 2026-01-01 --json
`;

const choiceOptions = (): Option[] => [
  new Option('--volumes <id...>', 'of these volumes').argParser(
    collect(matching(/^vol-(?:[0-9a-f]{8}|[0-9a-f]{17})$/, 'a volume id such as vol-0123456789abcdef0')),
  ),
  new Option('--snapshots <id...>', 'of these snapshots').argParser(collect(SNAPSHOT_ID)),
  new Option('--since <date>', 'of snapshots started on this day, in UTC, or later').argParser(date),
  new Option('--until <date>', 'of snapshots started before this day').argParser(date),
];

async function runList(flags: ListFlags, context: CliContext): Promise<void> {
  const settings: ListSettings = {
    prefix: normalisePrefix(flags.prefix),
    volumes: flags.volumes ?? [],
    snapshots: flags.snapshots ?? [],
    since: flags.since ?? null,
    until: flags.until ?? null,
  };
  using host = openHost(flags, context);
  const services = await awsServices({ ...flags, storageClass: 'STANDARD' }, host, context.process.env);
  context.finish(await list(settings, services, context.signal));
}
