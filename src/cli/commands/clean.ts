/** The command `snap-to-s3 clean`: converts its flags to the settings of the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT } from '../../errors.ts';
import type { CleanSettings } from '../../operations/shared/settings/clean.ts';
import type { CliContext } from '../context.ts';
import { duration } from '../flag-values.ts';
import { exitStatusHelp } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  claimLifeOption,
  mountPointOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  tagOption,
  waitLimitOption,
} from '../options.ts';
import { runOperation } from '../run-operation.ts';

/** The parsed flags. */
interface CleanFlags extends AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  tag: string;
  olderThan: number;
  yes?: true;
  mountPoint: string;
  waitLimit: number;
  claimLife: number;
}

export function cleanCommand(context: CliContext): Command {
  const command = new Command('clean')
    .summary('find and remove what interrupted runs left behind')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET [--yes] [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runClean(self.opts<CleanFlags>(), context));
  return addOptionGroups(command, [
    ['Scope:', [bucketOption(), prefixOption(), bucketOwnerOption(), tagOption(), mountPointOption()]],
    ['Removal:', [olderThanOption(), yesOption(), waitLimitOption(), claimLifeOption()]],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([], {
  [EXIT.failed]: 'failed, or something could not be examined or removed',
});

const DESCRIPTION = [
  'Lists what interrupted runs left behind, with age and monthly cost: temporary volumes with their attachments and mounts,',
  'unfinished uploads, objects of incomplete archives, snapshots stuck at "migrating" or "validating", and claims of dead runs.',
  'With --yes, removes it. It does not touch the resources of a live run, or resources that do not provably belong to this tag, bucket',
  'and prefix. It is usually better to run the interrupted command again, which resumes the work.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 clean --bucket backups.example.com
  snap-to-s3 clean --bucket backups.example.com --older-than 0 --yes
`;

const olderThanOption = (): Option =>
  new Option('--older-than <time>', 'minimum age of leftovers, such as 90s, 30m, 12h or 7d')
    .argParser(duration)
    .default(86_400, '1d');

const yesOption = (): Option => new Option('--yes', 'remove what was found (default: only list it)');

async function runClean(flags: CleanFlags, context: CliContext): Promise<void> {
  const settings: CleanSettings = {
    tagKey: flags.tag,
    prefix: normalisePrefix(flags.prefix),
    olderThan: flags.olderThan,
    remove: flags.yes === true,
    mountPoint: flags.mountPoint,
    waitLimit: flags.waitLimit * 1000,
    claimLife: flags.claimLife,
  };
  await runOperation(flags, context, async (services, signal) => {
    const { clean } = await import('../../operations/clean/clean.ts');
    return clean(settings, services, signal);
  });
}
