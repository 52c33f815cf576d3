/** The region whose S3 prices apply: found once, and named if it is not that of the bucket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapError } from '../../../../src/errors.ts';
import { bucketPrices, bucketRegionOf } from '../../../../src/operations/shared/bucket-prices.ts';

const { signal } = new AbortController();

/** A store whose answers about its region are these, in turn. */
function storeOf(...answers: (string | null | SnapError)[]) {
  const calls = answers.values();
  return {
    check: async () => {
      const { value } = calls.next();
      if (value === undefined) throw new Error('asked again');
      if (value instanceof SnapError) throw value;
      return { region: value, answeredAt: new Date(0) };
    },
  };
}

test('the region of the bucket is found once', async () => {
  const place = { region: 'us-east-1', bucketRegion: bucketRegionOf(storeOf('eu-central-1')) };
  for (let count = 0; count < 2; count++) {
    const { prices, note } = await bucketPrices(place, signal);
    assert.deepEqual([prices.region, note], ['eu-central-1', null]);
  }
});

test('without a region, prices are those of the snapshots, and the note says so', async () => {
  for (const answer of [null, new SnapError('ACCESS_DENIED', 'denied')]) {
    const place = { region: 'us-east-1', bucketRegion: bucketRegionOf(storeOf(answer)) };
    for (let count = 0; count < 2; count++) {
      const { prices, note } = await bucketPrices(place, signal);
      assert.equal(prices.region, 'us-east-1');
      assert.equal(note, 'the region of the bucket is unknown; S3 prices of us-east-1 are used');
    }
  }
});

test('other failures are reported, and not remembered', async () => {
  const failure = new SnapError('CLOUD_CALL', 'no answer');
  const bucketRegion = bucketRegionOf(storeOf(failure, 'eu-west-1'));
  await assert.rejects(bucketRegion({ signal }), failure);
  assert.equal(await bucketRegion({ signal }), 'eu-west-1');
});
