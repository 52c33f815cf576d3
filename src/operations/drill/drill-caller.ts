/** Who AWS says that a drill is run by. */
import { SnapError } from '../../errors.ts';
import type { DrillReport } from '../../events.ts';
import { seconds } from '../../lib/clock.ts';
import type { Services } from '../shared/services.ts';

/** A network may let nothing through to STS; the drill can do without. */
const ANSWER_WITHIN = seconds(20);

/** @returns `unknown`, with a warning, where STS does not tell. @throws SnapError `INTERRUPTED` */
export async function drillCaller(
  services: Services,
  signal: AbortSignal,
): Promise<Pick<DrillReport, 'caller' | 'warnings'>> {
  const deadline = AbortSignal.timeout(ANSWER_WITHIN);
  try {
    const caller = await services.callerIdentity({ signal: AbortSignal.any([signal, deadline]) });
    return { caller, warnings: [] };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError) && !deadline.aborted) throw error;
    const reason = error instanceof SnapError ? error.message : `STS did not answer in ${ANSWER_WITHIN / 1000} s`;
    const caller = { arn: 'unknown', account: 'unknown' };
    return { caller, warnings: [`the AWS caller is unknown: ${reason}`] };
  }
}
