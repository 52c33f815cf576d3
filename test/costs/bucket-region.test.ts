/** The prices of S3 are those of the region of the bucket, wherever the snapshots are. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pricesIn } from '../../src/costs/prices.ts';
import type { ListedArchive, ThawOffer } from '../../src/events.ts';
import { GiB } from '../../src/lib/units.ts';
import type { RunReport } from '../../src/operations/shared/run-report.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest, type RunOptions, recordsOf, runCli, type TestLab } from '../support/lab.ts';

const FAR = 'backups-far-away';
const REGION = 'sa-east-1';
const CLASS = 'DEEP_ARCHIVE';

const far = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(lab.env, [...argv, '--bucket', FAR, '--json'], options);

const near = (one: number | null | undefined, other: number): void =>
  assert.ok(Math.abs((one ?? 0) - other) < other * 1e-6, `${one} instead of ${other}`);

test('a bucket in another region: plan, report, list, thaw and validate have its prices', async (t) => {
  const lab = await labForTest(t);
  await lab.control.addBucket(FAR, { region: REGION });
  const { snapshotId } = await addSnapshotOf(lab);
  const [here, there] = [pricesIn('us-east-1').s3[CLASS], pricesIn(REGION).s3[CLASS]];
  assert.ok(here && there && here.gbMonth !== there.gbMonth);
  const migrate = ['migrate', '--all', '--dd', '--source', 'direct', '--storage-class', CLASS];

  const planned = await far(lab, [...migrate, '--dry-run']);
  assert.equal(planned.code, 0, planned.stdout + planned.stderr);
  const plan = recordsOf(planned).find(({ code }) => code === 'plan.snapshot')?.['plan'] as {
    sizeGiB: number;
    dataBytes: number | null;
    cost: { storageMonth: number; now: number; note: string | null };
  };
  const planGiB = (plan.dataBytes ?? plan.sizeGiB * GiB) / GiB;
  near(plan.cost.storageMonth, there.gbMonth * planGiB);
  near(plan.cost.now, pricesIn('us-east-1').snapshot.gbMonth * planGiB);

  const path = join(lab.directory, 'report.json');
  const done = await far(lab, [...migrate, '--report', path]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const report = JSON.parse(readFileSync(path, 'utf8')) as RunReport;
  assert.equal(report.priceRegion, REGION);
  const [row] = report.snapshots;
  near(row?.dollarsMonth, (there.gbMonth * (row?.storedBytes ?? 0)) / GiB);

  const listing = recordsOf(await far(lab, ['list']));
  const archive = listing.find(({ code }) => code === 'archive.listed')?.['archive'] as ListedArchive;
  const dataBytes = archive.objects.reduce((sum, { bytes }) => sum + bytes, 0);
  near(archive.dollarsMonth, (there.gbMonth * dataBytes) / GiB);

  const told = await far(lab, ['restore', snapshotId, '--to-file', join(lab.directory, 'disk.img')]);
  assert.equal(told.code, 1, told.stdout + told.stderr);
  const offer = recordsOf(told).find(({ code }) => code === 'thaw.offered');
  assert.equal(offer?.['priceRegion'], REGION);
  const bulk = ((offer?.['offers'] ?? []) as ThawOffer[]).find(({ tier }) => tier === 'Bulk');
  const price = there.retrieval?.find(({ tier }) => tier === 'Bulk');
  assert.ok(price && bulk && bulk.dollars >= (price.gb * dataBytes) / GiB + price.thousandRequests / 1000);

  const refused = await far(lab, ['validate', '--snapshots', snapshotId, '--archive-only']);
  assert.match(refused.stdout, /list prices of sa-east-1, including the copy/);
  const heads = (await lab.control.calls()).filter(({ operation }) => operation === 'HeadBucket').length;
  assert.ok(heads > 0 && heads <= 2 * 5, `${heads} requests by five commands`);
});
