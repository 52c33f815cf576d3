/** Analyses for tests, built from regions, volumes and snapshots without a bill. */
import assert from 'node:assert/strict';
import type { Analysis, SnapshotAnalysis, VolumeAnalysis } from '../../../src/costs/analysis.ts';

const total = (amounts: readonly number[]) => amounts.reduce((sum, amount) => sum + amount, 0);

/** Returns one snapshot per month, the oldest first, at $0.05 per GiB. The last one was taken on the day `latest`. */
export function snapshotsOf(
  gib: readonly number[],
  full: readonly (number | null)[],
  latest = '2025-06-01',
): SnapshotAnalysis[] {
  return gib.map((size, index) => ({
    id: `snap-${String(index).padStart(8, '0')}`,
    account: '123456789012',
    startedAt: new Date(Date.parse(latest) - (gib.length - 1 - index) * 30 * 86_400_000).toISOString(),
    description: null,
    tier: 'standard',
    gib: size,
    monthly: size * 0.05,
    share: null,
    fullGiB: full[index] ?? null,
    images: [],
    decision: null,
  }));
}

export const volumeOf = (
  volume: Partial<VolumeAnalysis> & { snapshots: readonly SnapshotAnalysis[] },
): VolumeAnalysis => ({
  id: 'vol-0123456789abcdef0',
  sizeGiB: 100,
  name: null,
  isDeleted: false,
  gib: total(volume.snapshots.map(({ gib }) => gib)),
  monthly: total(volume.snapshots.map(({ monthly }) => monthly)),
  averageChange: null,
  measured: null,
  decision: null,
  ...volume,
  snapshots: [...volume.snapshots],
});

export const analysisOf = (volumes: readonly VolumeAnalysis[], compression = 2): Analysis => ({
  format: 1,
  tool: { name: 'snap-to-s3', version: '0' },
  madeAt: '2026-11-25T00:00:00Z',
  basis: { kind: 'live', latestDay: '2026-11-24', calls: { requests: 0, dollars: 0 } },
  prices: { source: 'built-in', asOf: '', note: '' },
  assumptions: { compression, compressionIs: 'given', measuredOn: null, reading: 'direct', keepMonths: 12 },
  regions: [
    {
      region: 'us-east-1',
      currency: 'USD',
      accounts: ['123456789012'],
      gib: total(volumes.map(({ gib }) => gib)),
      monthly: total(volumes.map(({ monthly }) => monthly)),
      isBilled: true,
      snapshotCount: total(volumes.map(({ snapshots }) => snapshots.length)),
      volumes: [...volumes],
    },
  ],
  trend: [],
  warnings: [],
});

/** Asserts that the values are equal except for the last digits. */
export function near(actual: number | undefined, expected: number, tolerance = 1e-9): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) <= tolerance, `${actual} is not near ${expected}`);
}
