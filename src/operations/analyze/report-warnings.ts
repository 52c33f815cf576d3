/** What is to be known before figures of a report are relied on. */
import type { Billed } from '../../billing/ledger.ts';
import type { ReportFacts } from '../../billing/read-report.ts';
import type { AnalysisWarning, SnapshotCharges } from '../../costs/analysis.ts';

export function reportWarnings(facts: readonly ReportFacts[], billed: Billed): AnalysisWarning[] {
  return [...facts.flatMap(ofOneReport), ...ofAll(facts, billed)];
}

function ofOneReport(facts: ReportFacts) {
  const { name, rows, broken, unclear, examples, hasResources, granularity, hasCosts, ...taken } = facts;
  const found: AnalysisWarning[] = [];
  if (taken.repeats !== null) found.push(sameRows(name, taken.repeats));
  if (taken.isOverlapping) {
    const text = `${name} bills the same snapshots for the same days as files before it: if these are reports of one bill, all of it is counted twice; give one of them`;
    found.push({ code: 'same-days', text });
  }
  if (broken + unclear > 0) found.push(incomplete(facts));
  if (!hasResources) {
    const text = `${name} has no resource ids: only totals are known; include resource ids in the report's settings`;
    found.push({ code: 'no-resource-ids', text });
  }
  if (granularity === 'monthly') {
    const text = `${name} is by the month: what was made or deleted within it is shown smaller than it is`;
    found.push({ code: 'monthly-report', text });
  }
  if (!hasCosts) found.push({ code: 'no-costs', text: `${name} has no costs of its own: list prices are shown` });
  if (hasDiscounts(facts)) {
    const text = `${name} has discounts as rows of their own: what snapshots are shown to cost is before them`;
    found.push({ code: 'before-discounts', text });
  }
  return found;
}

/** The sums may be too small, and this says by how much where that can be told. */
function incomplete({ name, rows, broken, unclear, examples, charges }: ReportFacts): AnalysisWarning {
  const bad = broken > 0 ? [`${broken} of ${rows} rows of ${name} are broken and not counted`] : [];
  const doubtful = `${unclear} of ${rows} rows of ${name} may be about EBS snapshots, are not understood and not counted`;
  const more = broken + unclear > examples.length ? '; ...' : '';
  const costs = charges.filter(({ inReport, explained }) => inReport !== explained).map(unexplained);
  const cost = costs.length === 0 ? '' : ` (${costs.join(', ')})`;
  return {
    code: broken > 0 ? 'broken-rows' : 'unclear-rows',
    text: `${[...bad, ...(unclear > 0 ? [doubtful] : [])].join('; ')}${cost}: ${examples.join('; ')}${more}`,
  };
}

const unexplained = ({ currency, inReport, explained }: SnapshotCharges): string =>
  `${currency} ${(inReport - explained).toFixed(2)} of them`;

/** Of line items: "EdpDiscount", "PrivateRateDiscount", "BundledDiscount" and the like. */
export const hasDiscounts = ({ charges }: ReportFacts): boolean =>
  charges.some(({ others }) => others.some(({ what, cost }) => /Discount$/.test(what) && cost < 0));

const sameRows = (name: string, other: string): AnalysisWarning => ({
  code: 'same-rows',
  text:
    name === other
      ? `${name} was given more than once: it is counted once`
      : `${name} has the very same rows of snapshots as ${other}: they are counted once`,
});

function ofAll(facts: readonly ReportFacts[], billed: Billed): AnalysisWarning[] {
  const found: AnalysisWarning[] = [];
  if (facts.every(({ ofSnapshots }) => ofSnapshots === 0)) {
    found.push({ code: 'no-snapshots', text: 'there is no row of the storage of a snapshot' });
  }
  if (billed.snapshots.some(({ id }) => id === '') && facts.every(({ hasResources }) => hasResources)) {
    found.push({ code: 'no-resource-ids', text: 'rows of snapshots without a resource id are in the totals only' });
  }
  if (billed.hasIncompleteDays) {
    const text = `days after ${billed.latestDay} are passed over: the report is not complete for them yet`;
    found.push({ code: 'incomplete-day', text });
  }
  return found;
}
