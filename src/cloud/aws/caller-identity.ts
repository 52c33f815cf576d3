/** Whose credentials these are, as STS knows them. */
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

/** @param s3 by which the bucket is used: credentials are those of the store that it is in. */
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
 * Credentials of another store than AWS's are none of AWS's business, and mean nothing there. Nothing is sent.
 * @returns where the bucket is, if STS would be asked at AWS and the bucket is not there; else `null`.
 */
export async function hostOutsideAws(sts: STSClient, s3: S3Client, bucket: string): Promise<string | null> {
  const { url } = await getEndpointFromInstructions({ Bucket: bucket }, HeadBucketCommand, s3.config);
  if (isS3Host(url.hostname, await s3.config.region())) return null;
  await getEndpointFromInstructions({}, GetCallerIdentityCommand, sts.config);
  // Known only now: the endpoint can be in the environment, or in a configuration file.
  return sts.config.isCustomEndpoint ? null : url.host;
}

/** Other machines at AWS, load balancers say, have names of AWS too. */
function isS3Host(hostname: string, region: string): boolean {
  const { dnsSuffix, dualStackDnsSuffix } = partition(region);
  const suffix = [dnsSuffix, dualStackDnsSuffix].find((domain) => hostname.endsWith(`.${domain}`));
  return suffix !== undefined && S3_HOST_NAME.test(hostname.slice(0, -suffix.length - 1));
}

/** The bucket may stand before it. `vpce`: by PrivateLink. Source: "Amazon S3 endpoints and quotas". */
const S3_HOST_NAME = /(^|\.)s3(-[a-z0-9-]+)?(\.dualstack)?(\.[a-z]+(-[a-z]+)+-\d+)?(\.vpce)?$/;
