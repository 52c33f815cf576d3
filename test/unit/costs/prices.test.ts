/** The price table and its overrides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUILT_IN } from '../../../src/costs/built-in-prices.ts';
import { measuredPrices } from '../../../src/costs/overrides.ts';
import { pricesFromFile } from '../../../src/costs/price-file.ts';
import { noteOn, pricesIn } from '../../../src/costs/prices.ts';
import { analysisOf, near, snapshotsOf, volumeOf } from '../../support/costs/analyses.ts';

const regions = Object.values(BUILT_IN.regions);

test('every region has every price, in a plausible order', () => {
  assert.equal(regions.length, 36);
  for (const { region, snapshot, direct, volumes, s3 } of regions) {
    const classes = ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE'];
    const prices = classes.map((name) => s3[name]?.gbMonth ?? 0);
    assert.deepEqual(
      [...prices].sort((a, b) => b - a),
      prices,
      region,
    );
    assert.ok(
      prices.every((price) => price > 0 && price < 0.1),
      region,
    );
    assert.ok(snapshot.gbMonth > 0.04 && snapshot.gbMonth < 0.07, region);
    near(snapshot.archiveGbMonth, snapshot.gbMonth / 4);
    assert.ok(direct.thousandLists > 0 && direct.thousandReads < direct.thousandWrites, region);
    assert.ok(
      Object.values(volumes).every((price) => price > 0),
      region,
    );
    for (const name of ['GLACIER', 'DEEP_ARCHIVE']) assert.ok((s3[name]?.retrieval.length ?? 0) >= 2, region);
    assert.ok(
      Object.values(s3).every(({ thousandPuts }) => thousandPuts >= 0.004 && thousandPuts <= 0.1),
      region,
    );
  }
});

test('prices of us-east-1 are those that AWS publishes', () => {
  const { snapshot, direct, volumes, s3 } = pricesIn('us-east-1');
  assert.deepEqual(snapshot, { gbMonth: 0.05, archiveGbMonth: 0.0125, archiveRetrievalGb: 0.03 });
  assert.deepEqual(direct, { thousandLists: 0.0006, thousandReads: 0.003, thousandWrites: 0.006 });
  assert.equal(volumes['gp3'], 0.08);
  assert.deepEqual(s3['DEEP_ARCHIVE']?.retrieval, [
    { tier: 'Bulk', gb: 0.0025, thousandRequests: 0.025, takes: 'up to 48 hours' },
    { tier: 'Standard', gb: 0.02, thousandRequests: 0.1, takes: 'up to 12 hours' },
  ]);
  assert.deepEqual(s3['GLACIER']?.retrieval[2], {
    tier: 'Expedited',
    gb: 0.03,
    thousandRequests: 10,
    takes: '1 to 5 minutes',
  });
});

test('prices that do not come from AWS are marked', () => {
  assert.equal(noteOn(pricesIn('us-east-1')), null);
  assert.match(noteOn(pricesIn('eu-central-2')) ?? '', /snapshots, the archive tier.* estimated/);
  assert.match(noteOn(pricesIn('eu-west-1')) ?? '', /transcribed from a web page that is some years old/);
  assert.match(noteOn(pricesIn('cn-north-1')) ?? '', /not known; those of us-east-1/);
});

test('a price file: prices for all regions, then for named ones; all others stay', () => {
  const file = {
    asOf: '2026-11-01',
    regions: {
      '*': { s3: { DEEP_ARCHIVE: { gbMonth: 0.0008, retrieval: { Bulk: { gb: 0.002 } } } } },
      'eu-west-1': { snapshot: { gbMonth: 0.04 }, s3: { DEEP_ARCHIVE: { gbMonth: 0.0007 } } },
      'cn-north-1': { snapshot: { gbMonth: 0.3 } },
    },
  };
  const prices = pricesFromFile(JSON.stringify(file), 'our.json');
  const irish = pricesIn('eu-west-1', prices);
  assert.deepEqual([prices.source, prices.asOf], ['file', '2026-11-01']);
  assert.equal(irish.snapshot.gbMonth, 0.04);
  assert.equal(irish.snapshot.archiveGbMonth, 0.0125);
  assert.equal(irish.s3['DEEP_ARCHIVE']?.gbMonth, 0.0007);
  assert.equal(irish.s3['DEEP_ARCHIVE']?.retrieval[0]?.gb, 0.002);
  assert.equal(irish.s3['DEEP_ARCHIVE']?.retrieval[0]?.takes, 'up to 48 hours');
  assert.equal(pricesIn('us-east-1', prices).s3['DEEP_ARCHIVE']?.gbMonth, 0.0008);
  assert.equal(pricesIn('cn-north-1', prices).snapshot.gbMonth, 0.3);
  assert.deepEqual([irish.sources.snapshot, irish.sources.s3, irish.sources.direct], ['file', 'file', 'estimated']);
});

test('an invalid price file is refused with the position', () => {
  const refused: [string, RegExp][] = [
    ['{', /our\.json is not valid JSON/],
    ['[]', /the content must be an object/],
    ['{"region":{}}', /unknown member region; allowed: asOf, note, regions/],
    ['{"regions":{"Oregon":{}}}', /regions\.Oregon is neither a region name/],
    [
      '{"regions":{"us-east-1":{"snapshot":{"gbMonth":"0.05"}}}}',
      /regions\.us-east-1\.snapshot\.gbMonth must be a price/,
    ],
    ['{"regions":{"us-east-1":{"snapshot":{"gbMonth":-1}}}}', /must be a price/],
    ['{"regions":{"us-east-1":{"s3":{"DEEPARCHIVE":{}}}}}', /unknown member .*s3\.DEEPARCHIVE;/],
    [
      '{"regions":{"us-east-1":{"s3":{"GLACIER":{"retrieval":{"Bulk":{"takes":1}}}}}}}',
      /unknown member .*Bulk\.takes;/,
    ],
    ['{"regions":{"us-east-1":{"__proto__":{}}}}', /unknown member .*__proto__;/],
    ['{"asOf":"today"}', /asOf must be a date/],
  ];
  for (const [text, message] of refused)
    assert.throws(() => pricesFromFile(text, 'our.json'), { code: 'USAGE', message });
});

test('rates of the report are the cost of snapshots in the bill', () => {
  const snapshots = snapshotsOf([100], [100]).map((snapshot) => ({ ...snapshot, monthly: 4 }));
  const archived = snapshots.map((snapshot) => ({ ...snapshot, tier: 'archive' as const, monthly: 1 }));
  const { regions: analyzed } = analysisOf([volumeOf({ snapshots: [...snapshots, ...archived] })]);
  const measured = measuredPrices(analyzed, BUILT_IN);
  const { snapshot, sources } = pricesIn('us-east-1', measured);
  assert.equal(measured.source, 'report');
  assert.deepEqual([snapshot.gbMonth, snapshot.archiveGbMonth], [0.04, 0.01]);
  assert.deepEqual([sources.snapshot, sources.s3], ['report', 'list']);
  assert.equal(measuredPrices([], BUILT_IN), BUILT_IN);
});
