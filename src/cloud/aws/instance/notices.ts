/** What the metadata service announces of this instance's end. */
import { seconds, sleep } from '../../../lib/clock.ts';
import { askMetadata } from './metadata-service.ts';

/** As the EC2 user guide asks: notices come two minutes ahead. */
const LOOK_EACH = seconds(5);

/** Source: "Spot Instance interruption notices" of the EC2 user guide. */
const SPOT = '/latest/meta-data/spot/instance-action';

/** Source: "Retrieve the target lifecycle state through instance metadata" of the EC2 Auto Scaling user guide. */
const LIFECYCLE = '/latest/meta-data/autoscaling/target-lifecycle-state';

/**
 * Waits until this instance is announced to be stopped or taken away. The metadata service is found as the SDK finds it.
 * @returns why, as a clause: `spot interruption (terminate at 2026-11-22T08:22:00Z)`.
 */
export async function awaitNotice(signal: AbortSignal): Promise<string> {
  for (;;) {
    const notice = spotNotice(await ask(SPOT)) ?? lifecycleNotice(await ask(LIFECYCLE));
    if (notice !== null) return notice;
    await sleep(LOOK_EACH, signal);
  }
}

/** `null` where there is nothing, which is 404, and on any trouble: the next look may know more. */
const ask = (path: string): Promise<string | null> => askMetadata(path).catch(() => null);

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
