/** Where the numbers are from: prices, assumptions, reports. */
import type {
  Analysis,
  Assumptions,
  Basis,
  PriceBasis,
  RegionAnalysis,
  SnapshotCharges,
} from '../../costs/analysis.ts';
import { measuredVolumes, ratioText } from '../../costs/compression.ts';
import { type Html, html } from '../html.ts';
import { count, counted, day, money, sentence } from '../model/words.ts';

export const sources = ({
  basis,
  prices,
  assumptions,
  regions,
}: Analysis): Html => html`<section aria-labelledby="sources-title">
<h2 id="sources-title">Where these numbers come from</h2>
<dl class="sources">
<div><dt>Prices</dt><dd>${sentence(prices.note)} <small>${PRICES[prices.source]}, as of ${day(prices.asOf)}</small></dd></div>
${entry('Compression', compression(assumptions, regions))}
${entry('Read by', `${assumptions.reading === 'direct' ? 'the EBS direct APIs' : `temporary ${assumptions.reading.volumeType} volumes`}: what moving costs once, without instances.`)}
${entry('Kept for', `${assumptions.keepMonths} months: the costs of moving are weighed against the savings of that time.`)}
${basis.kind === 'live' ? live(basis) : report(basis)}
</dl>
</section>`;

const PRICES: Record<PriceBasis['source'], string> = {
  'built-in': 'built into the program',
  'price-list': 'AWS Price List',
  file: 'your price file',
  report: 'rates seen in the report',
};

function compression(
  { compression: ratio, compressionIs, measuredOn }: Assumptions,
  regions: readonly RegionAnalysis[],
): string {
  const taken = `Archives are taken to be ${ratioText(ratio)}`;
  if (compressionIs === 'given') return `${taken}, as given.`;
  if (measuredOn === null) return `${taken}, as assumed; measure it on archives of your own by --ratio-from.`;
  const { bucket, prefix, archives } = measuredOn;
  const own = measuredVolumes(regions);
  const others = own === 0 ? '' : ` Measured on archives of their own: ${counted(own, 'volume')}.`;
  return `${taken}, as measured on ${counted(archives, 'archive')} in s3://${bucket}/${prefix}.${others}`;
}

const live = ({ calls, latestDay }: Extract<Basis, { kind: 'live' }>): Html =>
  entry(
    'Sizes',
    `Asked of AWS on ${day(latestDay)}, without a billing report, by ${counted(calls.requests, 'call')} that cost ${money(calls.dollars, 'USD')}.`,
  );

type ReportBasis = Extract<Basis, { kind: 'report' }>;

const report = ({ sources: all, rows, charges, latestDay, isJoined }: ReportBasis): Html => html`${entry(
  'Sizes',
  `What was billed on ${day(latestDay)}, the latest complete day. ${isJoined ? 'Names and dates are from EC2.' : 'EC2 was not asked for names and dates.'}`,
)}
${entry('Rows', `${count(rows.read)} read, ${count(rows.understood)} understood, ${count(rows.ofSnapshots)} of snapshots, ${count(rows.broken)} broken.`)}
${charges.map((one) => entry('Charges', chargesOf(one)))}
<div><dt>Reports</dt><dd><ul>${all.map(
  ({ name, format, granularity }) => html`<li><bdi>${name}</bdi> <small>${format}, ${granularity}</small></li>`,
)}</ul></dd></div>`;

const chargesOf = ({ currency, inReport, explained, storage, others }: SnapshotCharges): string =>
  [
    `EBS snapshots in the report: ${money(inReport, currency)}; explained: ${money(explained, currency)}, of which `,
    [`storage ${money(storage, currency)}`, ...others.map(({ what, cost }) => `${what} ${money(cost, currency)}`)].join(
      ', ',
    ),
    '.',
  ].join('');

const entry = (name: string, text: string): Html => html`<div><dt>${name}</dt><dd>${text}</dd></div>`;
