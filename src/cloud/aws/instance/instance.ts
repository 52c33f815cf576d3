/** Identifies this instance by its metadata service (IMDSv2 only). */
import { SnapError } from '../../../errors.ts';
import { seconds, sleep } from '../../../lib/clock.ts';
import type { Instance } from '../../ports.ts';
import { fetchMetadata, MetadataError } from './metadata-service.ts';

/**
 * @param endpoint value of `AWS_EC2_METADATA_SERVICE_ENDPOINT`; by default the link-local address.
 * @throws SnapError `NOT_ON_INSTANCE`
 */
export async function thisInstance(endpoint: string | undefined): Promise<Instance> {
  try {
    return readIdentity(await fetchWithRetries(IDENTITY_DOCUMENT, endpoint));
  } catch (cause) {
    throw new SnapError('NOT_ON_INSTANCE', 'the instance metadata service does not answer', {
      hint: 'run this on an EC2 instance whose metadata service is enabled (in containers: hop limit 2)',
      cause,
    });
  }
}

const IDENTITY_DOCUMENT = '/latest/dynamic/instance-identity/document';

/** Refusals are not retried. */
async function fetchWithRetries(path: string, endpoint: string | undefined): Promise<string> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await fetchMetadata(path, endpoint);
    } catch (error) {
      const isRefused = error instanceof MetadataError && [400, 403, 404].includes(error.status);
      if (isRefused || attempts === METADATA_ATTEMPTS) throw error;
    }
    await sleep(METADATA_RETRY_PAUSE);
  }
}

const METADATA_ATTEMPTS = 3;
const METADATA_RETRY_PAUSE = seconds(1);

/** Source: "Instance identity documents" of the EC2 user guide. */
function readIdentity(document: string): Instance {
  const identity = JSON.parse(document) as Record<string, unknown>;
  const text = (name: string): string => {
    const value = identity[name];
    if (typeof value !== 'string') throw new Error(`the instance identity document has no ${name}`);
    return value;
  };
  return {
    id: text('instanceId'),
    type: text('instanceType'),
    region: text('region'),
    availabilityZone: text('availabilityZone'),
    accountId: text('accountId'),
  };
}
