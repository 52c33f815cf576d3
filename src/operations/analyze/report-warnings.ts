/** Warnings about the quality of billing reports. */
import type { Billed } from '../../billing/ledger.ts';
import type { ReportFacts } from '../../billing/read-report.ts';
import type { AnalysisWarning, SnapshotCharges } from '../../costs/analysis.ts';

export function reportWarnings(facts: readonly ReportFacts[], billed: Billed): AnalysisWarning[] {
  return [...facts.flatMap(ofOneReport), ...ofAll(facts, billed)];
}

function ofOneReport(facts: ReportFacts) {
  const { name, broken, unclear, hasResources, granularity, hasCosts, repeats, isOverlapping } = facts;
  const found: AnalysisWarning[] = [];
  if (repeats !== null) found.push(sameRows(name, repeats));
  if (isOverlapping) {
    const text = `${name} bills the same snapshots for the same days as an earlier file: if both are reports of the same bill, these costs are counted twice; specify only one of them`;
    found.push({ code: 'same-days', text });
  }
  if (broken + unclear > 0) found.push(incomplete(facts));
  if (!hasResources) {
    const text = `${name} has no resource ids, so it shows only totals; enable resource ids in the settings of the report`;
    found.push({ code: 'no-resource-ids', text });
  }
  if (granularity === 'monthly') {
    const text = `${name} is a monthly report, so snapshots that were created or deleted during the month are shown too small`;
    found.push({ code: 'monthly-report', text });
  }
  if (!hasCosts)
    found.push({ code: 'no-costs', text: `${name} contains no costs, so costs are computed from list prices` });
  if (hasDiscounts(facts)) {
    const text = `${name} lists discounts in separate rows, so the costs shown do not include these discounts`;
    found.push({ code: 'before-discounts', text });
  }
  return found;
}

/** Rows that are not counted, so that the sums may be too small, and their cost as far as it is known. */
function incomplete({ name, rows, broken, unclear, examples, charges }: ReportFacts): AnalysisWarning {
  const bad = broken > 0 ? [`${broken} of ${rows} rows of ${name} are malformed and not counted`] : [];
  const doubtful = `${unclear} of ${rows} rows of ${name} may concern EBS snapshots but are not understood and not counted`;
  const more = broken + unclear > examples.length ? '; ...' : '';
  const costs = charges.filter(({ inReport, explained }) => inReport !== explained).map(unexplained);
  const cost = costs.length === 0 ? '' : ` (${costs.join(', ')})`;
  return {
    code: broken > 0 ? 'broken-rows' : 'unclear-rows',
    text: `${[...bad, ...(unclear > 0 ? [doubtful] : [])].join('; ')}${cost}: ${examples.join('; ')}${more}`,
  };
}

const unexplained = ({ currency, inReport, explained }: SnapshotCharges): string =>
  `${currency} ${(inReport - explained).toFixed(2)} not counted`;

/** Whether there are line items of types such as "EdpDiscount", "PrivateRateDiscount" and "BundledDiscount". */
export const hasDiscounts = ({ charges }: ReportFacts): boolean =>
  charges.some(({ others }) => others.some(({ what, cost }) => /Discount$/.test(what) && cost < 0));

const sameRows = (name: string, other: string): AnalysisWarning => ({
  code: 'same-rows',
  text:
    name === other
      ? `${name} was specified more than once; it is counted once`
      : `${name} has the same rows about snapshots as ${other}; they are counted once`,
});

function ofAll(facts: readonly ReportFacts[], billed: Billed): AnalysisWarning[] {
  const found: AnalysisWarning[] = [];
  if (facts.every(({ ofSnapshots }) => ofSnapshots === 0)) {
    found.push({ code: 'no-snapshots', text: 'no row of the report bills the storage of a snapshot' });
  }
  if (billed.snapshots.some(({ id }) => id === '') && facts.every(({ hasResources }) => hasResources)) {
    found.push({
      code: 'no-resource-ids',
      text: 'rows about snapshots without a resource id count only in the totals',
    });
  }
  if (billed.hasIncompleteDays) {
    const text = `days after ${billed.latestDay} are ignored, because the report is not complete for them yet`;
    found.push({ code: 'incomplete-day', text });
  }
  return found;
}
