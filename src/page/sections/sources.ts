/** The sources of the numbers: prices, assumptions and reports. */
import type {
  Analysis,
  Assumptions,
  Basis,
  PriceBasis,
  RegionAnalysis,
  SnapshotCharges,
} from '../../costs/analysis.ts';
import { ASSUMED_CHANGE } from '../../costs/change-rate.ts';
import { measuredVolumes, ratioText } from '../../costs/compression.ts';
import { type Html, html } from '../html.ts';
import { counted, day, integer, money, sentence } from '../model/words.ts';

export const sources = ({
  basis,
  prices,
  assumptions,
  regions,
}: Analysis): Html => html`<section aria-labelledby="sources-title">
<h2 id="sources-title">Sources and assumptions</h2>
<dl class="sources">
<div><dt>Prices</dt><dd>${sentence(prices.note)} <small>${PRICES[prices.source]}, as of ${day(prices.asOf)}</small></dd></div>
${entry('Compression', compression(assumptions, regions))}
${entry('Change', changes(assumptions, regions))}
${entry('Reading', `The cost of moving assumes that snapshots are read ${assumptions.reading === 'direct' ? 'through the EBS direct APIs' : `from temporary ${assumptions.reading.volumeType} volumes`}. Instances are not included.`)}
${entry('Retention', `Savings are computed over ${counted(assumptions.keepMonths, 'month')}.`)}
${basis.kind === 'live' ? live(basis) : report(basis)}
</dl>
</section>`;

const PRICES: Record<PriceBasis['source'], string> = {
  'built-in': 'Built into the program',
  'price-list': 'AWS Price List',
  file: 'Your price file',
  report: 'Rates of the report',
};

function compression(
  { compression: ratio, compressionIs, measuredOn }: Assumptions,
  regions: readonly RegionAnalysis[],
): string {
  const assumed = `Archives compress ${ratioText(ratio)}`;
  if (compressionIs === 'given') return `${assumed} (given with --ratio).`;
  if (measuredOn === null) return `${assumed} (assumed). To measure your archives, use --ratio-from.`;
  const { bucket, prefix, archives } = measuredOn;
  const own = measuredVolumes(regions);
  const others =
    own === 0
      ? ''
      : ` For ${counted(own, 'volume')}, the ratio of ${own === 1 ? 'its' : 'their'} own archives is used.`;
  return `${assumed} (measured on ${counted(archives, 'archive')} in s3://${bucket}/${prefix}).${others}`;
}

/** How many volumes have a measured change, and what is assumed for the others. */
function changes({ change = ASSUMED_CHANGE }: Assumptions, regions: readonly RegionAnalysis[]): string {
  const rates = regions.flatMap(({ volumes }) => volumes.map((volume) => volume.change));
  const measured = rates.filter((rate) => rate?.is === 'measured').length;
  const others = rates.length - measured;
  const how = `The change between snapshots is measured on the sizes of the snapshots of ${counted(measured, 'volume')}.`;
  if (others === 0) return how;
  const given = change.is === 'given' ? 'given with --change' : 'assumed';
  return `${how} ${counted(others, 'volume')} ${others === 1 ? 'has' : 'have'} no two snapshots to compare: ${change.percent} % is ${given}.`;
}

const live = ({ calls, latestDay }: Extract<Basis, { kind: 'live' }>): Html =>
  entry(
    'Sizes',
    `From EC2 and the EBS direct APIs on ${day(latestDay)}, without a billing report; ${counted(calls.requests, 'request')}, ${money(calls.dollars, 'USD')}.`,
  );

type ReportBasis = Extract<Basis, { kind: 'report' }>;

const report = ({ sources: all, rows, charges, latestDay, isJoined }: ReportBasis): Html => html`${entry(
  'Sizes',
  `As billed on ${day(latestDay)}, the latest complete day of the report. ${isJoined ? 'Names and dates come from EC2.' : 'Names and dates were not read from EC2.'}`,
)}
${entry('Rows', `${integer(rows.read)} read, ${integer(rows.understood)} understood, ${integer(rows.ofSnapshots)} about snapshots, ${integer(rows.broken)} malformed.`)}
${charges.map((one) => entry('Charges', chargesOf(one)))}
<div><dt>Reports</dt><dd><ul>${all.map(
  ({ name, format, granularity }) => html`<li><bdi>${name}</bdi> <small>${format}, ${granularity}</small></li>`,
)}</ul></dd></div>`;

const chargesOf = ({ currency, inReport, explained, storage, others }: SnapshotCharges): string =>
  [
    `Cost of EBS snapshots in the report: ${money(inReport, currency)}; explained: ${money(explained, currency)}, of which `,
    [`storage ${money(storage, currency)}`, ...others.map(({ what, cost }) => `${what} ${money(cost, currency)}`)].join(
      ', ',
    ),
    '.',
  ].join('');

const entry = (name: string, text: string): Html => html`<div><dt>${name}</dt><dd>${text}</dd></div>`;
