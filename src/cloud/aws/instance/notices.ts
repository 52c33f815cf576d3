/** Waits for the notice that this instance will be stopped or terminated. */
import { seconds, sleep } from '../../../lib/clock.ts';
import { fetchMetadata } from './metadata-service.ts';

/** The EC2 user guide recommends 5 seconds. Notices come two minutes ahead. */
const NOTICE_INTERVAL = seconds(5);

/** Source: "Spot Instance interruption notices" of the EC2 user guide. */
const SPOT_PATH = '/latest/meta-data/spot/instance-action';

/** Source: "Retrieve the target lifecycle state through instance metadata" of the EC2 Auto Scaling user guide. */
const LIFECYCLE_PATH = '/latest/meta-data/autoscaling/target-lifecycle-state';

/**
 * Waits until a notice announces that this instance will be stopped or terminated. The metadata service is found in the
 * same way as by the SDK.
 * @returns the reason, such as `spot interruption (terminate at 2026-11-22T08:22:00Z)`.
 * @throws the reason of the signal when it is aborted.
 */
export async function awaitNotice(signal: AbortSignal): Promise<string> {
  for (;;) {
    const notice = spotNotice(await fetchOrNull(SPOT_PATH)) ?? lifecycleNotice(await fetchOrNull(LIFECYCLE_PATH));
    if (notice !== null) return notice;
    await sleep(NOTICE_INTERVAL, signal);
  }
}

/** Returns `null` if there is no notice (HTTP 404) and on any error. The next attempt may succeed. */
const fetchOrNull = (path: string): Promise<string | null> => fetchMetadata(path).catch(() => null);

function spotNotice(document: string | null): string | null {
  if (document === null) return null;
  try {
    const { action, time } = JSON.parse(document) as { action?: string; time?: string };
    return action === undefined ? null : `spot interruption (${action} at ${time ?? 'an unknown time'})`;
  } catch {
    return null;
  }
}

const lifecycleNotice = (state: string | null): string | null =>
  state === 'Terminated' || state === 'Stopped' ? `Auto Scaling (target state ${state})` : null;
