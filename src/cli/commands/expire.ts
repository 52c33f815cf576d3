/** The command `snap-to-s3 expire`: converts its flags to the settings of the operation. */
import { Command, Option } from 'commander';
import { normalisePrefix } from '../../archive/key.ts';
import { EXIT, SnapError } from '../../errors.ts';
import { VOLUME_ID_PATTERN } from '../../lib/aws-names.ts';
import { type ExpireSettings, type KeepRules, PERIODS } from '../../operations/shared/settings/expire.ts';
import type { CliContext } from '../context.ts';
import { collect, duration, matching, wantedTag, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp } from '../help.ts';
import {
  type AwsFlags,
  addOptionGroups,
  awsOptions,
  bucketOption,
  bucketOwnerOption,
  claimLifeOption,
  type OutputFlags,
  outputOptions,
  prefixOption,
  REGION_OF_LIST,
  tagOption,
} from '../options.ts';
import { runOperation } from '../run-operation.ts';

/** The parsed flags. */
interface ExpireFlags extends AwsFlags, OutputFlags {
  bucket: string;
  prefix: string;
  expectedBucketOwner?: string;
  volumes?: string[];
  tag: string;
  keepLast?: number;
  keepHourly?: number;
  keepDaily?: number;
  keepWeekly?: number;
  keepMonthly?: number;
  keepYearly?: number;
  keepWithin?: number;
  keepTag?: string[];
  grace: number;
  dryRun?: true;
  yes?: true;
  claimLife: number;
}

export function expireCommand(context: CliContext): Command {
  const command = new Command('expire')
    .summary('remove archives that no rule keeps')
    .description(DESCRIPTION)
    .usage('--bucket BUCKET --keep-... [--yes] [OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runExpire(self.opts<ExpireFlags>(), context));
  return addOptionGroups(command, [
    ['Scope:', [bucketOption(), prefixOption(), bucketOwnerOption(), volumesOption(), tagOption()]],
    ['Rules (of each volume; at least one; times are in UTC):', ruleOptions()],
    ['Removal:', [graceOption(), dryRunOption(), yesOption(), claimLifeOption()]],
    ['AWS:', awsOptions(REGION_OF_LIST)],
    ['Output:', outputOptions()],
  ]);
}

const EXIT_STATUS = exitStatusHelp([EXIT.someFailed, EXIT.nothingToDo, EXIT.claimedElsewhere], {
  [EXIT.someFailed]: 'the archives of some volumes could not be processed, or have a manifest that cannot be read',
  [EXIT.nothingToDo]: 'every archive is kept',
});

const DESCRIPTION = [
  'Shows for each archive whether the rules keep it, with the reasons, and what its removal frees. With --yes, marks the archives that',
  'no rule keeps, and removes those that an earlier run marked before the period of grace. Packs that other incremental archives need',
  'always stay. The latest archive of a volume is always kept, and so is everything that Object Lock protects or that is being restored.',
  'Never deletes snapshots.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 expire --bucket backups.example.com --keep-daily 7 --keep-monthly 12
  snap-to-s3 expire --bucket backups.example.com --keep-within 90d --keep-tag Keep --yes
`;

const volumesOption = (): Option =>
  new Option('--volumes <id...>', 'only archives of these volumes (default: all)').argParser(
    collect(matching(VOLUME_ID_PATTERN, 'a volume id such as vol-0123456789abcdef0')),
  );

const MAX_PERIODS = 100_000;

const ADJECTIVES: Record<(typeof PERIODS)[number], string> = {
  hourly: 'hours',
  daily: 'days',
  weekly: 'weeks',
  monthly: 'months',
  yearly: 'years',
};

const ruleOptions = (): Option[] => [
  new Option('--keep-last <number>', `keep the latest archives, 1 to ${MAX_PERIODS}`).argParser(
    wholeNumber(1, MAX_PERIODS),
  ),
  ...PERIODS.map((period) =>
    new Option(
      `--keep-${period} <number>`,
      `keep the latest archive of each of the latest ${ADJECTIVES[period]} that have one, 1 to ${MAX_PERIODS}`,
    ).argParser(wholeNumber(1, MAX_PERIODS)),
  ),
  new Option(
    '--keep-within <time>',
    'keep archives of snapshots started within this time before the latest one, such as 12h or 90d',
  ).argParser(duration),
  new Option('--keep-tag <tag...>', 'keep archives of snapshots with one of these tags, as KEY or KEY=VALUE').argParser(
    collect(String),
  ),
];

/** Longer than the longest write and thaw. */
const graceOption = (): Option =>
  new Option('--grace <time>', 'time between the mark and the removal, at least 1h, such as 12h or 30d')
    .argParser(duration)
    .default(7 * 86_400, '7d');

const dryRunOption = (): Option => new Option('--dry-run', 'only show the plan, which is the default').conflicts('yes');

const yesOption = (): Option => new Option('--yes', 'mark and remove archives (default: only show the plan)');

async function runExpire(flags: ExpireFlags, context: CliContext): Promise<void> {
  const settings = toSettings(flags);
  await runOperation(flags, context, async (services, signal) => {
    const { expire } = await import('../../operations/expire/expire.ts');
    return expire(settings, services, signal);
  });
}

/** Seconds. Less would not outlast the writes of a run. */
const MIN_GRACE = 3600;

/** @throws SnapError `USAGE` without a rule, or with too short a grace. */
function toSettings(flags: ExpireFlags): ExpireSettings {
  if (flags.grace < MIN_GRACE)
    throw new SnapError('USAGE', `--grace ${flags.grace}s: it must be at least 1h`, {
      hint: 'a run that is writing an archive, or a restore, may need what is removed',
    });
  return {
    prefix: normalisePrefix(flags.prefix),
    volumes: flags.volumes ?? [],
    keep: toRules(flags),
    grace: flags.grace,
    remove: flags.yes === true,
    tagKey: flags.tag,
    claimLife: flags.claimLife,
  };
}

function toRules(flags: ExpireFlags): KeepRules {
  const { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin, keepTag } = flags;
  const all = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin, keepTag];
  if (all.every((flag) => flag === undefined))
    throw new SnapError('USAGE', 'no rule says what to keep', {
      hint: 'give at least one of --keep-last, --keep-hourly, --keep-daily, --keep-weekly, --keep-monthly, --keep-yearly, --keep-within and --keep-tag',
    });
  return {
    last: keepLast ?? 0,
    periods: {
      hourly: keepHourly ?? 0,
      daily: keepDaily ?? 0,
      weekly: keepWeekly ?? 0,
      monthly: keepMonthly ?? 0,
      yearly: keepYearly ?? 0,
    },
    within: keepWithin ?? null,
    tags: (keepTag ?? []).map(wantedTag),
  };
}
