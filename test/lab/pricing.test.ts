/** Uses the price list of the lab with the SDK and with `--refresh-prices`. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GetProductsCommand, PricingClient } from '@aws-sdk/client-pricing';
import type { Policy } from '../../lab/core/policy.ts';
import { priceLists } from '../../src/aws-services.ts';
import { BUILT_IN } from '../../src/costs/built-in-prices.ts';
import type { Comparison } from '../../src/costs/compare.ts';
import { refreshedPrices } from '../../src/costs/price-list.ts';
import { noteOn, pricesIn } from '../../src/costs/prices.ts';
import { near } from '../support/costs/analyses.ts';
import { credentialsOf, labForTest, runCli, type TestLab } from '../support/lab.ts';

const clientOf = ({ lab }: TestLab) =>
  new PricingClient({
    region: 'us-east-1',
    endpoint: lab.endpoints.pricing,
    credentials: credentialsOf(lab.environment()),
    maxAttempts: 1,
  });

const of = (regionCode: string, productFamily: string) => ({
  ServiceCode: 'AmazonEC2',
  Filters: [
    { Type: 'TERM_MATCH' as const, Field: 'regionCode', Value: regionCode },
    { Type: 'TERM_MATCH' as const, Field: 'productFamily', Value: productFamily },
  ],
});

test('GetProducts: filters, pages and refusals', async (t) => {
  const testLab = await labForTest(t, { pageSize: 2 });
  const client = clientOf(testLab);
  t.after(() => client.destroy());
  const usages: string[] = [];
  let token: string | undefined;
  do {
    const input = { ...of('eu-west-1', 'Storage Snapshot'), ...(token === undefined ? {} : { NextToken: token }) };
    const page = await client.send(new GetProductsCommand(input));
    assert.ok((page.PriceList?.length ?? 0) <= 2);
    for (const text of page.PriceList ?? []) usages.push(JSON.parse(String(text)).product.attributes.usagetype);
    token = page.NextToken;
  } while (token !== undefined);
  assert.equal(usages.length, 6);
  assert.ok(usages.every((usage) => usage.startsWith('EU-EBS:Snapshot')));
  const refused = (input: object, name: string) =>
    assert.rejects(client.send(new GetProductsCommand({ ServiceCode: 'AmazonEC2', ...input })), { name });
  await refused({ ServiceCode: 'AmazonLemonade' }, 'NotFoundException');
  await refused({ MaxResults: 101 }, 'InvalidParameterException');
  await refused({ NextToken: 'no token' }, 'InvalidNextTokenException');
});

test('refreshed prices come from the exact usage type, with any prefix', async (t) => {
  const testLab = await labForTest(t, { pageSize: 10 });
  const { signal } = new AbortController();
  const before = { ...process.env };
  Object.assign(process.env, testLab.lab.environment());
  t.after(() => {
    process.env = before;
  });
  const lists = await priceLists({}, process.env, () => {});
  const regions = ['us-east-1', 'eu-west-1', 'ap-southeast-2', 'sa-east-1'];
  const listed = new Map<string, Awaited<ReturnType<typeof lists.ofRegion>>>();
  for (const region of regions) listed.set(region, await lists.ofRegion(region, { signal }));
  const prices = refreshedPrices(listed, '2026-11-25', BUILT_IN);
  assert.deepEqual([prices.source, prices.asOf], ['price-list', '2026-11-25']);
  for (const [region, factor] of [
    ['us-east-1', 1.1],
    ['eu-west-1', 1.2],
    ['ap-southeast-2', 1.3],
  ] as const) {
    const { snapshot, direct, volumes, s3 } = pricesIn(region, prices);
    near(snapshot.gbMonth, 0.05 * factor);
    near(snapshot.archiveGbMonth, 0.0125 * factor);
    near(snapshot.archiveRetrievalGb, 0.03 * factor);
    near(direct.thousandReads, 0.003 * factor);
    near(direct.thousandLists, 0.0006 * factor);
    near(volumes['gp3'], 0.08 * factor);
    near(volumes['standard'], 0.05 * factor);
    near(s3['STANDARD']?.gbMonth, 0.023 * factor);
    near(s3['STANDARD']?.thousandPuts, 0.005 * factor);
    near(s3['GLACIER_IR']?.readGb, 0.03 * factor);
    near(s3['GLACIER']?.thousandPuts, 0.03 * factor);
    near(s3['DEEP_ARCHIVE']?.gbMonth, 0.00099 * factor);
    near(s3['DEEP_ARCHIVE']?.retrieval.find(({ tier }) => tier === 'Standard')?.gb, 0.02 * factor);
    near(s3['GLACIER']?.retrieval.find(({ tier }) => tier === 'Standard')?.gb, 0.01 * factor);
    assert.equal(noteOn(pricesIn(region, prices)), null);
  }
  // The price list of the lab does not contain this region, so the built-in prices stay.
  assert.deepEqual(pricesIn('sa-east-1', prices), pricesIn('sa-east-1'));
});

/** Returns the policy in docs/permissions.md. */
function documentedPolicy(): Policy {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'permissions.md'), 'utf8');
  const found = /<!-- policy: prices -->\s*```json\n([\s\S]*?)```/.exec(text);
  return JSON.parse(found?.[1] ?? '') as Policy;
}

test('compare --refresh-prices: one call for each page, a retry, and a file that overrides the list', async (t) => {
  const lab = await labForTest(t);
  const reader = await lab.control.addIdentity('reader', documentedPolicy());
  await lab.control.script({
    service: 'pricing',
    operation: 'GetProducts',
    action: { kind: 'error', code: 'ThrottlingException', status: 400 },
  });
  const file = join(lab.directory, 'own.json');
  writeFileSync(file, JSON.stringify({ regions: { 'eu-west-1': { s3: { DEEP_ARCHIVE: { gbMonth: 0.0005 } } } } }));
  const argv = ['compare', '--json', '--refresh-prices', '--prices', file, '--region', 'eu-west-1', '--change', '0'];
  const { code, stdout, stderr } = await runCli({ ...lab.env, ...lab.lab.environment(reader) }, argv);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Pricing/);
  const { comparisons } = JSON.parse(stdout) as { comparisons: Comparison[] };
  const [plain] = comparisons[0]?.tables ?? [];
  assert.match(
    comparisons[0]?.prices ?? '',
    /own\.json; other prices: Price List API as of 20\d\d-\d\d-\d\d for eu-west-1/,
  );
  near(plain?.input.snapshotGbMonth, 0.06);
  near(plain?.input.options.find(({ id }) => id === 'GLACIER')?.gbMonth, 0.0036 * 1.2);
  near(plain?.input.options.find(({ id }) => id === 'DEEP_ARCHIVE')?.gbMonth, 0.0005);
  const calls = (await lab.control.calls()).filter(({ service }) => service === 'pricing');
  assert.equal(calls.length, 6);
});

test('without permission for the price list, the error says so and nothing is printed', async (t) => {
  const lab = await labForTest(t);
  const nobody = await lab.control.addIdentity('nobody', { Statement: [] });
  const done = await runCli({ ...lab.env, ...lab.lab.environment(nobody) }, ['compare', '--refresh-prices']);
  assert.equal(done.code, 1);
  assert.equal(done.stdout, '');
  assert.match(done.stderr, /could not read the prices of AmazonEC2 in us-east-1/);
});
