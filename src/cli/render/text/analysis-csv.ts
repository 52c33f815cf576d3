/** An analysis as CSV for spreadsheets, one row per snapshot. */
import Papa from 'papaparse';
import type {
  Analysis,
  Assumptions,
  Basis,
  Decision,
  RegionAnalysis,
  SnapshotAnalysis,
  VolumeAnalysis,
} from '../../../costs/analysis.ts';
import { compressionOf } from '../../../costs/compression.ts';

export function analysisCsv({ regions, assumptions, basis }: Analysis): string {
  const rows = regions.flatMap((region) =>
    region.volumes.flatMap((volume) => {
      const ofAll = { ...changeOf(volume), ...ratioOf(volume, assumptions), ...coverageOf(basis, region) };
      return volume.snapshots.map((snapshot) => ({ ...rowOf(region, volume, snapshot), ...ofAll }));
    }),
  );
  // Spreadsheets evaluate cells that begin like formulas, and the names come from tags, which are untrusted.
  return `${Papa.unparse(rows, { columns: COLUMNS, newline: '\n', escapeFormulae: true })}\n`;
}

const COLUMNS = [
  'region',
  'account',
  'volume',
  'volume_name',
  'volume_gib',
  'volume_deleted',
  'snapshot',
  'started_at',
  'description',
  'tier',
  'gib',
  'share_percent',
  'full_gib',
  'currency',
  'monthly',
  'images',
  'best_for_volume',
  'best_for_snapshot',
  'change_percent',
  'change_is',
  'change_snapshots',
  'compression',
  'compression_is',
  'compression_archives',
  'rows_read',
  'rows_understood',
  'charged_in_report',
  'charged_explained',
];

/** How much of the report the analysis covers; the same in every row of a currency. */
function coverageOf(basis: Basis, { currency }: RegionAnalysis) {
  if (basis.kind === 'live') return {};
  const charges = basis.charges.find((one) => one.currency === currency);
  return {
    rows_read: basis.rows.read,
    rows_understood: basis.rows.understood,
    charged_in_report: charges?.inReport,
    charged_explained: charges?.explained,
  };
}

const changeOf = ({ change }: VolumeAnalysis) => ({
  change_percent: change?.percent,
  change_is: change?.is,
  change_snapshots: change?.measuredOn,
});

function ratioOf(volume: VolumeAnalysis, assumptions: Assumptions) {
  const { compression, is, archives } = compressionOf(volume, assumptions);
  return { compression, compression_is: is, compression_archives: archives };
}

const rowOf = (region: RegionAnalysis, volume: VolumeAnalysis, snapshot: SnapshotAnalysis) => ({
  region: region.region,
  account: snapshot.account,
  volume: volume.id,
  volume_name: volume.name,
  volume_gib: volume.sizeGiB,
  volume_deleted: volume.id === null ? null : volume.isDeleted,
  snapshot: snapshot.id,
  started_at: snapshot.startedAt,
  description: snapshot.description,
  tier: snapshot.tier,
  gib: snapshot.gib,
  share_percent: snapshot.share,
  full_gib: snapshot.fullGiB,
  currency: region.currency,
  monthly: snapshot.monthly,
  images: snapshot.images.join(' '),
  best_for_volume: bestOf(volume.decision),
  best_for_snapshot: bestOf(snapshot.decision),
});

/** `keep`, `ebs-archive` or, for example, `s3 DEEP_ARCHIVE full`; empty if there is no decision. */
function bestOf(decision: Decision | null): string {
  const best = decision?.choices[decision.best];
  if (!best) return '';
  return [best.what, best.storageClass, best.what === 's3' ? best.form : null].filter(Boolean).join(' ');
}
