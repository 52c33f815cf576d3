/** The command `snap-to-s3 compare`, which compares the cost of archives and snapshots without a billing report. */
import { Command, Option } from 'commander';
import type { CompareSettings } from '../../costs/compare.ts';
import { EXIT } from '../../errors.ts';
import type { CliContext } from '../context.ts';
import { decimal, wholeNumber } from '../flag-values.ts';
import { exitStatusHelp, INTERRUPTED_ONLY } from '../help.ts';
import { addOptionGroups, profileOption, REGION_NAME } from '../options.ts';
import { type PriceFlags, priceOptions } from '../price-flags.ts';

interface CompareFlags extends PriceFlags {
  snapshots: number;
  size: number;
  change?: number[];
  interval: number;
  baseEvery?: number;
  ratio?: number;
  region?: string;
  json?: true;
}

export function compareCommand(context: CliContext): Command {
  const command = new Command('compare')
    .summary('compare the cost of archives in S3 with the cost of snapshots')
    .description(DESCRIPTION)
    .usage('[OPTIONS]')
    .addHelpText('after', EXAMPLES + EXIT_STATUS)
    .action((_flags, self: Command) => runCompare(self.opts<CompareFlags>(), context));
  return addOptionGroups(command, [
    ['Comparison:', volumeOptions()],
    ['Prices:', [regionOption(), ...priceOptions(), profileOption()]],
    ['Output:', [new Option('--json', 'write one JSON document to standard output')]],
  ]);
}

const EXIT_STATUS = exitStatusHelp([], INTERRUPTED_ONLY);

const DESCRIPTION = [
  'EBS snapshots are incremental, and archives in S3 are full copies, or incremental, too (migrate --incremental): which is cheaper',
  'depends on how much data changes between snapshots. Shows the comparison with the prices of 2017, as the spreadsheet of version 0',
  'did, and with current prices, including Deep Archive, the EBS archive tier, and incremental archives in Deep Archive.',
].join(' ');

const EXAMPLES = `
Examples:
  snap-to-s3 compare
  snap-to-s3 compare --snapshots 30 --size 500 --change 2 --ratio 1.8 --region eu-central-1
`;

const volumeOptions = (): Option[] => [
  new Option('--snapshots <number>', 'number of snapshots of the volume, 1 to 100000')
    .argParser(wholeNumber(1, 100_000))
    .default(12),
  new Option('--size <GiB>', 'size of the volume in GiB, 1 to 65536; all of it is in use')
    .argParser(wholeNumber(1, 65_536))
    .default(100),
  new Option(
    '--change <percent...>',
    'percentage of the volume that changes between snapshots, 0 to 100 (default: a series from 0 to 100)',
  ).argParser((text, previous: number[] | undefined) => [...(previous ?? []), decimal(0, 100)(text) / 100]),
  new Option(
    '--interval <days>',
    'days between snapshots, 0.01 to 3650; incremental archives get a new base after 365 days',
  )
    .argParser(decimal(0.01, 3650))
    .default(1),
  new Option(
    '--base-every <number>',
    'incremental archives with all blocks of every <number>th snapshot, 1 to 10000 (default: decided by size and age)',
  ).argParser(wholeNumber(1, 10_000)),
  new Option(
    '--ratio <number>',
    'compression ratio of archives, such as 2 for 2:1, 0.1 to 1000 (default: 1 and 2)',
  ).argParser(decimal(0.1, 1000)),
];

const regionOption = (): Option =>
  new Option(
    '--region <region>',
    'use current prices of this region only (default: us-east-1, with current prices and those of 2017)',
  ).argParser(REGION_NAME);

/** Loads its modules only here, because help and usage errors need none of them. */
async function runCompare(flags: CompareFlags, context: CliContext): Promise<void> {
  const { CHANGES, compareIn2017, compareToday } = await import('../../costs/compare.ts');
  const { pricesOf } = await import('../chosen-prices.ts');
  const { openHost } = await import('../render/open-host.ts');
  const { comparisonText } = await import('../render/text/compare-text.ts');
  const settings: CompareSettings = {
    snapshots: flags.snapshots,
    sizeGiB: flags.size,
    changes: flags.change ?? CHANGES,
    days: flags.interval,
    baseEvery: flags.baseEvery ?? null,
    compressions: flags.ratio === undefined ? [1, 2] : [flags.ratio],
    region: flags.region ?? 'us-east-1',
  };
  using host = openHost({}, context);
  const today = compareToday(settings, await pricesOf(flags, [settings.region], host, context));
  const isCurrentOnly = [flags.region, flags.prices, flags.refreshPrices].some((flag) => flag !== undefined);
  const before = isCurrentOnly ? [] : [compareIn2017(settings)];
  const print = context.output.printer(context.process.stdout);
  if (flags.json) print(`${JSON.stringify({ format: 1, comparisons: [...before, today] })}\n`);
  else print(`${[...before.map((one) => comparisonText(one, false)), comparisonText(today, true)].join('\n\n')}\n`);
  context.finish(EXIT.ok);
}
