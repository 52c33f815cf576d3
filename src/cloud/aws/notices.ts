/** What the metadata service announces of this instance's end. */
import type { RequestOptions } from 'node:http';
import { seconds, sleep } from '../../lib/clock.ts';
import { getInstanceMetadataEndpoint, httpRequest } from './sdk.ts';

/** As the EC2 user guide asks: notices come two minutes ahead. */
const LOOK_EACH = seconds(5);
const ANSWER_WITHIN = seconds(2);

/** Source: "Spot Instance interruption notices" of the EC2 user guide. */
const SPOT = '/latest/meta-data/spot/instance-action';

/** Source: "Retrieve the target lifecycle state through instance metadata" of the EC2 Auto Scaling user guide. */
const LIFECYCLE = '/latest/meta-data/autoscaling/target-lifecycle-state';

/**
 * Waits until this instance is announced to be stopped or taken away. The metadata service is found as the SDK finds it.
 * @returns why, as a clause: `spot interruption (terminate at 2026-11-22T08:22:00Z)`.
 */
export async function awaitNotice(signal: AbortSignal): Promise<string> {
  const { hostname, port, protocol } = await getInstanceMetadataEndpoint();
  const ask = askerAt({ hostname, port, protocol, timeout: ANSWER_WITHIN });
  for (;;) {
    const notice = spotNotice(await ask(SPOT)) ?? lifecycleNotice(await ask(LIFECYCLE));
    if (notice !== null) return notice;
    await sleep(LOOK_EACH, signal);
  }
}

/** Asks by IMDSv2. `null` where there is nothing, which is 404, and on any trouble: the next look may know more. */
function askerAt(service: RequestOptions): (path: string) => Promise<string | null> {
  const send = async (options: RequestOptions) => (await httpRequest({ ...service, ...options })).toString();
  return async (path) => {
    try {
      const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
      const token = await send({ method: 'PUT', path: '/latest/api/token', headers });
      return await send({ path, headers: { 'x-aws-ec2-metadata-token': token } });
    } catch {
      return null;
    }
  };
}

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
