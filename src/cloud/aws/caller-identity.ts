/** The identity behind the credentials, from STS. */
import { SnapError } from '../../errors.ts';
import type { Call, CallerIdentity } from '../ports.ts';
import { translateErrors } from './errors.ts';
import {
  GetCallerIdentityCommand,
  getEndpointFromInstructions,
  HeadBucketCommand,
  partition,
  type S3Client,
  type STSClient,
} from './sdk.ts';

/**
 * @param s3 the client of the bucket. STS is called only if that bucket is at AWS or STS has an endpoint of its own.
 */
export const awsCallerIdentity =
  (stsClient: () => STSClient, s3: S3Client, bucket: string) =>
  ({ signal }: Call): Promise<CallerIdentity> =>
    translateErrors('get the caller identity from STS', signal, async () => {
      const sts = stsClient();
      const host = await hostOutsideAws(sts, s3, bucket);
      if (host !== null) {
        throw new SnapError('NOT_SUPPORTED_HERE', `the bucket is at ${host}, not at AWS, so STS was not called`, {
          hint: 'if that store has its own STS, set AWS_ENDPOINT_URL_STS',
        });
      }
      const { Arn, Account } = await sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal });
      if (Arn && Account) return { arn: Arn, account: Account };
      throw new SnapError('CLOUD_CALL', 'STS returned no caller identity', { hint: 'check AWS_ENDPOINT_URL_STS' });
    });

/**
 * Finds out whether the bucket is in a store outside of AWS while STS would be called at AWS. The credentials of such a
 * store are unknown to AWS and must not be sent there. This function sends no request.
 * @returns the host of that store; `null` if STS may be called.
 */
export async function hostOutsideAws(sts: STSClient, s3: S3Client, bucket: string): Promise<string | null> {
  const { url } = await getEndpointFromInstructions({ Bucket: bucket }, HeadBucketCommand, s3.config);
  if (isS3Host(url.hostname, await s3.config.region())) return null;
  await getEndpointFromInstructions({}, GetCallerIdentityCommand, sts.config);
  // The endpoint is resolved only now, because it can come from the environment or from a configuration file.
  return sts.config.isCustomEndpoint ? null : url.host;
}

/** Checks for S3 itself, because other hosts at AWS, such as load balancers, share its domains. */
function isS3Host(hostname: string, region: string): boolean {
  const { dnsSuffix, dualStackDnsSuffix } = partition(region);
  const suffix = [dnsSuffix, dualStackDnsSuffix].find((domain) => hostname.endsWith(`.${domain}`));
  return suffix !== undefined && S3_HOST_NAME.test(hostname.slice(0, -suffix.length - 1));
}

/**
 * A host name of S3, with or without a bucket in front. `vpce` is AWS PrivateLink. Source: "Amazon S3 endpoints and
 * quotas".
 */
const S3_HOST_NAME = /(^|\.)s3(-[a-z0-9-]+)?(\.dualstack)?(\.[a-z]+(-[a-z]+)+-\d+)?(\.vpce)?$/;
