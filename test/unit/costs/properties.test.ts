/** Properties of any chain of snapshots, tested on volumes whose every block is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Analysis, Decision } from '../../../src/costs/analysis.ts';
import { BUILT_IN } from '../../../src/costs/built-in-prices.ts';
import { decide } from '../../../src/costs/decide.ts';
import { exactly, handedOn, type Lineage, remaining } from '../../../src/costs/lineage.ts';
import { analysisOf, snapshotsOf, volumeOf } from '../../support/costs/analyses.ts';

/** Snapshots as sets of block versions. `3:1` is the version of block 3 that was written before the second snapshot. */
type Chain = ReadonlySet<string>[];

const BLOCKS = 12;

/** Before each snapshot, some blocks are written and some are discarded. */
const chain: fc.Arbitrary<Chain> = fc
  .array(
    fc.record({
      written: fc.uniqueArray(fc.nat(BLOCKS - 1), { maxLength: BLOCKS }),
      gone: fc.uniqueArray(fc.nat(BLOCKS - 1), { maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((steps) => {
    const disk = new Map<number, string>();
    return steps.map(({ written, gone }, step) => {
      for (const block of gone) disk.delete(block);
      for (const block of written) disk.set(block, `${block}:${step}`);
      return new Set(disk.values());
    });
  });

/** EBS bills each block of a chain once, to the oldest snapshot that refers to it. */
function bill(snapshots: Chain): number[] {
  const seen = new Set<string>();
  return snapshots.map((blocks) => {
    const fresh = [...blocks].filter((block) => !seen.has(block));
    for (const block of fresh) seen.add(block);
    return fresh.length;
  });
}

const total = (amounts: readonly number[]) => amounts.reduce((sum, amount) => sum + amount, 0);

const lineageOf = (snapshots: Chain, isKnown: (index: number) => boolean = () => true): Lineage => {
  const gib = bill(snapshots);
  return {
    links: snapshots.map(({ size }, index) => ({
      gib: gib[index] ?? 0,
      full: isKnown(index) ? exactly(size) : { min: gib[index] ?? 0, max: BLOCKS },
    })),
    foreign: 0,
    isChain: true,
  };
};

const within = (value: number, { min, max }: { min: number; max: number }) =>
  assert.ok(min - 1e-9 <= value && value <= max + 1e-9, `${value} is not in ${min}..${max}`);

test('the remaining cost is within the bounds, whatever is deleted', () => {
  fc.assert(
    fc.property(chain, fc.nat(127), fc.nat(127), (snapshots, mask, known) => {
      const isKept = (index: number) => (mask & (1 << index)) === 0;
      const left = total(bill(snapshots.filter((_, index) => isKept(index))));
      within(left, remaining(lineageOf(snapshots), isKept));
      within(
        left,
        remaining(
          lineageOf(snapshots, (index) => (known & (1 << index)) !== 0),
          isKept,
        ),
      );
    }),
    { numRuns: 2000 },
  );
});

test('deleting all, none or all older snapshots is exact if sizes are known', () => {
  fc.assert(
    fc.property(chain, fc.nat(7), (snapshots, first) => {
      const { min, max } = remaining(lineageOf(snapshots), (index) => index >= first);
      assert.equal(min, max);
      assert.equal(min, total(bill(snapshots.slice(first))));
    }),
  );
});

test('the blocks that a snapshot passes on are the remaining ones minus those of the others', () => {
  fc.assert(
    fc.property(chain, fc.nat(6), fc.boolean(), (snapshots, at, isChain) => {
      const lineage = { ...lineageOf(snapshots), isChain };
      const index = at % snapshots.length;
      const others = total(lineage.links.map(({ gib }) => gib)) - (lineage.links[index]?.gib ?? 0);
      const left = remaining(lineage, (other) => other !== index);
      const { min, max } = handedOn(lineage, index);
      assert.equal(min, left.min - others);
      assert.ok(max >= left.max - others && (!isChain || max === left.max - others));
    }),
  );
});

const fullOf = (snapshots: Chain, isKnown: boolean) => snapshots.map(({ size }) => (isKnown ? size : null));

function analysis(snapshots: Chain, compression: number, isKnown = true): Analysis {
  const volume = volumeOf({
    sizeGiB: BLOCKS,
    isDeleted: true,
    snapshots: snapshotsOf(bill(snapshots), fullOf(snapshots, isKnown)),
  });
  return decide(analysisOf([volume], compression), BUILT_IN, { today: '2026-11-25' });
}

function decisionsOf({ regions }: Analysis): { decision: Decision; monthly: number }[] {
  return regions.flatMap(({ volumes }) =>
    volumes.flatMap(({ decision, monthly, snapshots }) =>
      [{ decision, monthly }, ...snapshots].flatMap(({ decision: one, monthly: bill }) =>
        one ? [{ decision: one, monthly: bill }] : [],
      ),
    ),
  );
}

test('no saving exceeds the bill, keeping is the first choice, and the best one saves money', () => {
  fc.assert(
    fc.property(chain, fc.double({ min: 1, max: 20, noNaN: true }), fc.boolean(), (snapshots, compression, isKnown) => {
      for (const { decision, monthly } of decisionsOf(analysis(snapshots, compression, isKnown))) {
        const [first, ...others] = decision.choices;
        assert.equal(first?.what, 'keep');
        assert.equal(first?.monthly, monthly);
        for (const { saving, monthly: after, oneOff, restore } of others) {
          assert.ok(saving <= monthly + 1e-9, `${saving} of ${monthly}`);
          assert.ok(Math.abs(after + saving - monthly) < 1e-9);
          assert.ok(after >= -1e-9 && oneOff >= 0 && restore.cost >= 0);
        }
        const best = decision.choices[decision.best];
        assert.ok(best && (best.what === 'keep' || (best.saving > 0 && best.savingIs !== 'upper-bound')));
      }
    }),
  );
});

test('the actual saving is at most the upper bound and at least the lower bound', () => {
  fc.assert(
    fc.property(chain, fc.boolean(), (snapshots, isKnown) => {
      const [volume] = analysis(snapshots, 1, isKnown).regions[0]?.volumes ?? [];
      const before = total(bill(snapshots));
      volume?.snapshots.forEach(({ decision }, index) => {
        const freed = before - total(bill(snapshots.filter((_, other) => other !== index)));
        const truth = freed * 0.05 - (snapshots[index]?.size ?? 0) * 0.0125;
        const tier = decision?.choices.find(({ what }) => what === 'ebs-archive');
        assert.ok(tier);
        if (tier.savingIs === 'exact') assert.ok(Math.abs(tier.saving - truth) < 1e-9);
        if (tier.savingIs === 'lower-bound') assert.ok(tier.saving <= truth + 1e-9);
        if (tier.savingIs === 'upper-bound') assert.ok(tier.saving >= truth - 1e-9);
      });
    }),
  );
});

test('parts of a set never certainly free more than the whole set may free', () => {
  fc.assert(
    fc.property(chain, fc.nat(127), fc.nat(127), (snapshots, set, part) => {
      const lineage = lineageOf(snapshots);
      const billed = total(bill(snapshots));
      const left = (mask: number) => remaining(lineage, (index) => (mask & (1 << index)) === 0);
      const sure = (mask: number) => billed - left(mask).max;
      assert.ok(sure(set & part) + sure(set & ~part) <= billed - left(set).min + 1e-9);
    }),
  );
});

test('better compression never saves less', () => {
  const ratio = fc.double({ min: 1, max: 10, noNaN: true });
  fc.assert(
    fc.property(chain, ratio, ratio, (snapshots, one, other) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)];
      const best = (compression: number) => {
        const [volume] = analysis(snapshots, compression).regions[0]?.volumes ?? [];
        return volume?.decision?.choices.find(({ storageClass, form, scope }) => {
          return storageClass === 'DEEP_ARCHIVE' && form === 'full' && scope === 'all';
        })?.saving;
      };
      assert.ok((best(high) ?? 0) >= (best(low) ?? 0) - 1e-9);
    }),
  );
});
