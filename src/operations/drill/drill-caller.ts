/** The AWS identity that runs a drill. */
import { SnapError } from '../../errors.ts';
import type { DrillReport } from '../../events.ts';
import { seconds } from '../../lib/clock.ts';
import type { Services } from '../shared/services.ts';

/** Limits the wait, because a network may block STS, and the drill does not depend on it. */
const TIMEOUT = seconds(20);

/** @returns `unknown` and a warning if STS does not return the identity. @throws SnapError `INTERRUPTED` */
export async function drillCaller(
  services: Services,
  signal: AbortSignal,
): Promise<Pick<DrillReport, 'caller' | 'warnings'>> {
  const deadline = AbortSignal.timeout(TIMEOUT);
  try {
    const caller = await services.callerIdentity({ signal: AbortSignal.any([signal, deadline]) });
    return { caller, warnings: [] };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SnapError) && !deadline.aborted) throw error;
    const reason = error instanceof SnapError ? error.message : `STS did not respond within ${TIMEOUT / 1000} s`;
    const caller = { arn: 'unknown', account: 'unknown' };
    return { caller, warnings: [`the AWS caller is unknown: ${reason}`] };
  }
}
