/** `snap-to-s3 clean`: its flags, and what they mean to the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { awsServices } from '../../aws-services.ts';
import { EXIT } from '../../errors.ts';
import { clean } from '../../operations/clean/clean.ts';
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
import { openHost } from '../render/open-host.ts';

/** Flags as the parser hands them over. */
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
    .summary('find, and remove, what broken runs have left behind')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET [--yes] [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runClean(self.opts<CleanFlags>(), context));
  return addOptionGroups(command, [
    ['Where to look:', [bucketOption(), prefixOption(), bucketOwnerOption(), tagOption(), mountPointOption()]],
    ['What to do:', [olderThanOption(), yesOption(), waitLimitOption(), claimLifeOption()]],
    ['AWS:', awsOptions()],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([], {
  [EXIT.failed]: 'failed, or something that was found could not be removed',
});

const DESCRIPTION = [
  'Lists temporary volumes and their attachments and mounts, unfinished uploads, objects of archives that never became',
  'whole, snapshots that are stuck at "migrating" or "validating", and claims of runs that are gone, each with its age',
  'and monthly cost. Removes them with --yes. Touches nothing that a run is working on, and nothing that is not provably',
  'of this tag, bucket and prefix. Running the interrupted command again is usually the better remedy.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 clean --bucket backups.example.com
  snap-to-s3 clean --bucket backups.example.com --older-than 0 --yes
`;

const olderThanOption = (): Option =>
  new Option('--older-than <time>', 'only what is at least that old: 90s, 30m, 12h, 7d')
    .argParser(duration)
    .default(86_400, '1d');

const yesOption = (): Option => new Option('--yes', 'remove it; without this flag, it is only listed');

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
  using host = openHost(flags, context);
  const services = await awsServices({ ...flags, storageClass: 'STANDARD' }, host, context.process.env);
  context.finish(await clean(settings, services, context.signal));
}
