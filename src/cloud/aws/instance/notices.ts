/** What the metadata service announces of this instance's end. */
import { seconds, sleep } from '../../../lib/clock.ts';
import { fetchMetadata } from './metadata-service.ts';

/** As the EC2 user guide asks: notices come two minutes ahead. */
const NOTICE_INTERVAL = seconds(5);

/** Source: "Spot Instance interruption notices" of the EC2 user guide. */
const SPOT_PATH = '/latest/meta-data/spot/instance-action';

/** Source: "Retrieve the target lifecycle state through instance metadata" of the EC2 Auto Scaling user guide. */
const LIFECYCLE_PATH = '/latest/meta-data/autoscaling/target-lifecycle-state';

/**
 * Waits until this instance is announced to be stopped or taken away. The metadata service is found as the SDK finds it.
 * @returns why, as a clause: `spot interruption (terminate at 2026-11-22T08:22:00Z)`.
 */
export async function awaitNotice(signal: AbortSignal): Promise<string> {
  for (;;) {
    const notice = spotNotice(await fetchOrNull(SPOT_PATH)) ?? lifecycleNotice(await fetchOrNull(LIFECYCLE_PATH));
    if (notice !== null) return notice;
    await sleep(NOTICE_INTERVAL, signal);
  }
}

/** `null` where there is nothing, which is 404, and on any trouble: the next look may know more. */
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
