/** This instance, by its metadata service (IMDSv2 only). */
import { SnapError } from '../../errors.ts';
import type { Instance } from '../ports.ts';
import { MetadataService } from './sdk.ts';

/** A machine that is no instance has nobody at the address: it should learn so at once. */
const ANSWER_WITHIN = 2_000;

/**
 * @param endpoint `AWS_EC2_METADATA_SERVICE_ENDPOINT`; by default the address that instances know.
 * @throws SnapError `NOT_ON_INSTANCE`
 */
export async function thisInstance(endpoint: string | undefined): Promise<Instance> {
  const service = new MetadataService({
    ...(endpoint === undefined ? {} : { endpoint }),
    httpOptions: { timeout: ANSWER_WITHIN },
    ec2MetadataV1Disabled: true,
    retries: 2,
  });
  try {
    return readIdentity(await service.request(IDENTITY_DOCUMENT, {}));
  } catch (cause) {
    throw new SnapError('NOT_ON_INSTANCE', 'the instance metadata service does not answer', {
      hint: 'run this on an EC2 instance whose metadata service is enabled (in containers: hop limit 2)',
      cause,
    });
  }
}

/** Relative: the client puts a slash before it. */
const IDENTITY_DOCUMENT = 'latest/dynamic/instance-identity/document';

/** The instance identity document of the EC2 user guide. */
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
