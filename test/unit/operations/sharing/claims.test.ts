/** Claims that are intact, of another version, or damaged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeClaim,
  encodeClaim,
  lifeOfUnknown,
  MAX_LIFE_SECONDS,
  newClaim,
  untimedClaim,
} from '../../../../src/archive/claim.ts';
import type { ArchiveStore } from '../../../../src/cloud/ports.ts';
import { findClaim } from '../../../../src/operations/sharing/claims.ts';

const AT = new Date('2026-11-29T10:00:00Z');

const FACTS = {
  snapshot: 'snap-1',
  volume: 'vol-1',
  command: 'migrate',
  holder: { run: 'x', host: 'elsewhere', pid: 7, boot: 'b', namespace: 'n', started: '1' },
  renewal: 1,
  lifeSeconds: 900,
  tagBefore: null,
  progress: null,
};

const WHOLE = newClaim({ ...FACTS, takenAt: '2026-11-29T09:00:00.000Z' });

test('a claim without a time was taken at its Last-Modified', () => {
  assert.equal(decodeClaim(encodeClaim(untimedClaim(FACTS)), AT)?.takenAt, AT.toISOString());
  assert.deepEqual(decodeClaim(encodeClaim(WHOLE), AT), WHOLE);
});

test('any content of a claim is either understood or respected for a limited time', async () => {
  const holders = fc.oneof(
    fc.jsonValue(),
    fc.record({ pid: fc.jsonValue(), boot: fc.jsonValue(), host: fc.jsonValue() }),
  );
  const found = (body: Buffer, ageSeconds: number) => {
    const answeredAt = new Date(AT.getTime() + ageSeconds * 1000);
    const store = { getSmall: async () => ({ etag: '"1"', body, modifiedAt: AT, answeredAt }) };
    return findClaim('key', store as unknown as ArchiveStore, new AbortController().signal);
  };
  await fc.assert(
    fc.asyncProperty(holders, async (holder) => {
      const body = Buffer.from(JSON.stringify({ ...WHOLE, holder }));
      if (holder !== null) assert.equal((await found(body, 899))?.isLive, true);
      assert.equal((await found(body, 901))?.isLive, false);
    }),
  );
  assert.equal((await found(Buffer.from('no claim'), MAX_LIFE_SECONDS - 1))?.isLive, true);
  assert.equal((await found(Buffer.from('no claim'), MAX_LIFE_SECONDS + 1))?.isLive, false);
});

test('a claim of a newer version lasts for its own life, up to the maximum', () => {
  assert.equal(lifeOfUnknown(Buffer.from('{"format":2,"lifeSeconds":60}')), 60);
  for (const text of ['{"format":2}', '{"lifeSeconds":1e9}', '{"lifeSeconds":-1}', 'null', '[', ''])
    assert.equal(lifeOfUnknown(Buffer.from(text)), MAX_LIFE_SECONDS);
  for (const damaged of [{ renewal: 'x' }, { takenAt: 'x' }, { tagBefore: 5 }, { lifeSeconds: 1e9 }, { progress: {} }])
    assert.equal(decodeClaim(Buffer.from(JSON.stringify({ ...WHOLE, ...damaged })), AT), null);
});
