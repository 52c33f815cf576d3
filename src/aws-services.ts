/** AWS as operations see it: clients, the bucket, this instance. The one place that puts them together. */

import { awsCallerIdentity } from './cloud/aws/caller-identity.ts';
import { ebsClient, ec2Client, pricingClient, s3Client, stsClient } from './cloud/aws/clients.ts';
import { awsBlockCounts } from './cloud/aws/ebs/block-counts.ts';
import { awsNewSnapshots } from './cloud/aws/ebs/new-snapshots.ts';
import { awsSnapshotBlocks } from './cloud/aws/ebs/snapshot-blocks.ts';
import { awsInventory } from './cloud/aws/ec2/inventory.ts';
import { awsSnapshots } from './cloud/aws/ec2/snapshots.ts';
import { awsVolumes } from './cloud/aws/ec2/volumes.ts';
import { awsExaminer } from './cloud/aws/examiner.ts';
import { thisInstance } from './cloud/aws/instance/instance.ts';
import { awaitNotice } from './cloud/aws/instance/notices.ts';
import { networkOf } from './cloud/aws/network.ts';
import { awsPriceLists } from './cloud/aws/price-list.ts';
import { readProfile } from './cloud/aws/profile.ts';
import type { Retry } from './cloud/aws/retries.ts';
import { s3ArchiveStore } from './cloud/aws/s3/archive-store.ts';
import type { StoreSettings } from './cloud/aws/s3/store-settings.ts';
import type { Instance, PriceLists } from './cloud/ports.ts';
import { SnapError } from './errors.ts';
import type { Host } from './events.ts';
import { searchPathOf } from './lib/search-path.ts';
import type { AnalyzeServices, Services } from './operations/shared/services.ts';
import { BlockRateLimiter } from './transfer/rate-limiter.ts';

export interface AwsChoices {
  region?: string;
  profile?: string;
  endpointUrl?: string;
  /** Maximum number of blocks that are read through the EBS direct APIs per second (default: 900). */
  maxBlockRate?: number;
  /** Seconds after which a call over which nothing moves is tried again; 30 if not given. */
  callTimeout?: number;
  bucket: string;
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
}

/** A snapshot gives 1,000 blocks a second: a tenth is left to others. Source: "Quotas for EBS direct APIs". */
const DEFAULT_BLOCK_RATE = 900;

/**
 * @param env where regions, endpoints and credentials are looked for, as the AWS SDK does it.
 * @throws SnapError `USAGE` for a profile that does not exist and for a proxy or a CA bundle that cannot be used;
 *   `NOT_ON_INSTANCE` where no region is given and there is no instance to ask.
 */
export async function awsServices(choices: AwsChoices, host: Host, env: NodeJS.ProcessEnv): Promise<Services> {
  const instance = once(() => thisInstance(env['AWS_EC2_METADATA_SERVICE_ENDPOINT']));
  const found = await connection(choices, env);
  const region = found.region ?? (await instance()).region;
  const settings = { ...found, region };
  const tellOf = (service: string) => (retry: Retry) => host.notify({ code: 'call.retried', service, ...retry });
  const blockRate = choices.maxBlockRate ?? DEFAULT_BLOCK_RATE;
  const rateLimiter = new BlockRateLimiter(blockRate);
  const ebs = ebsClient({ ...settings, onRetry: tellOf('EBS') }, (snapshot, limit) => {
    const blocksPerSecond = rateLimiter.reportThrottling(snapshot, limit);
    if (blocksPerSecond) host.notify({ code: 'blocks.slowed', snapshot, limit, blocksPerSecond });
  });
  const ec2 = ec2Client({ ...settings, onRetry: tellOf('EC2') });
  const sts = () => stsClient({ ...settings, onRetry: tellOf('STS') });
  const s3Settings = { ...settings, onRetry: tellOf('S3') };
  const s3 = { control: s3Client(s3Settings, 'control'), transfer: s3Client(s3Settings, 'transfer') };
  return {
    snapshots: awsSnapshots(ec2),
    snapshotsIn: (other) => awsSnapshots(ec2Client({ ...settings, region: other, onRetry: tellOf('EC2') })),
    blocks: awsSnapshotBlocks(ebs),
    newSnapshots: awsNewSnapshots(ebs, ec2),
    rateLimiter,
    directAccess: { ...settings, blockRate },
    volumes: awsVolumes(ec2),
    store: s3ArchiveStore(s3, storeSettings(choices)),
    examiner: awsExaminer(ec2, s3.control, storeSettings(choices)),
    region,
    callerIdentity: awsCallerIdentity(sts, s3.control, choices.bucket),
    instance: () => instance().then((found) => sameRegion(found, region)),
    awaitNotice,
    searchPath: searchPathOf(env),
    host,
  };
}

/**
 * For `analyze`: buckets and regions are asked for as the reports name them, and nothing before that.
 * @throws SnapError `USAGE` for a profile that does not exist and for a proxy or a CA bundle that cannot be used.
 */
export async function awsAnalyzeServices(
  choices: Omit<AwsChoices, 'bucket' | 'storageClass'>,
  host: Host,
  env: NodeJS.ProcessEnv,
): Promise<Omit<AnalyzeServices, 'prices'>> {
  const found = await connection(choices, env);
  const settingsIn = (region: string, service: string) => ({
    ...found,
    region,
    onRetry: (retry: Retry) => host.notify({ code: 'call.retried', service, ...retry }),
  });
  const home = found.region ?? ANY_REGION;
  return {
    inventory: awsInventory((region) => ec2Client(settingsIn(region, 'EC2'))),
    counts: awsBlockCounts((region) => ebsClient(settingsIn(region, 'EBS'), () => {})),
    bucket: (name) => {
      const settings = settingsIn(home, 'S3');
      const clients = { control: s3Client(settings, 'control'), transfer: s3Client(settings, 'transfer') };
      return s3ArchiveStore(clients, storeSettings({ ...choices, bucket: name, storageClass: 'STANDARD' }));
    },
    host,
  };
}

/** S3 says where a bucket is when it is asked anywhere. */
const ANY_REGION = 'us-east-1';

/** How AWS is reached, and the region that is meant: in the order in which the AWS CLI looks for it. */
async function connection(choices: Omit<AwsChoices, 'bucket' | 'storageClass'>, env: NodeJS.ProcessEnv) {
  const profile = await readProfile(choices.profile, env);
  const region = choices.region || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || profile.region;
  return {
    region: region || undefined,
    ...(choices.profile === undefined ? {} : { profile: choices.profile }),
    ...(choices.endpointUrl === undefined ? {} : { s3Endpoint: choices.endpointUrl }),
    callTimeout: choices.callTimeout ?? 30,
    network: networkOf(env, profile.caBundle),
    forcePathStyle: [choices.endpointUrl, env['AWS_ENDPOINT_URL_S3'], env['AWS_ENDPOINT_URL']].some(Boolean),
  };
}

/**
 * AWS's price list, which needs credentials, and no region.
 * @throws SnapError `USAGE` for a profile that does not exist and for a proxy or a CA bundle that cannot be used.
 */
export async function priceLists(
  choices: Pick<AwsChoices, 'profile' | 'callTimeout'>,
  env: NodeJS.ProcessEnv,
  onRetry: (retry: { attempt: number; because: string; waitSeconds: number }) => void,
): Promise<PriceLists> {
  const { region: _region, ...settings } = await connection(choices, env);
  return awsPriceLists(pricingClient({ ...settings, onRetry }));
}

const storeSettings = (choices: AwsChoices): StoreSettings => ({
  bucket: choices.bucket,
  storageClass: choices.storageClass,
  tagAfterUpload: choices.endpointUrl !== undefined,
  ...(choices.sse === undefined ? {} : { sse: choices.sse }),
  ...(choices.sseKmsKeyId === undefined ? {} : { sseKmsKeyId: choices.sseKmsKeyId }),
  ...(choices.expectedBucketOwner === undefined ? {} : { expectedBucketOwner: choices.expectedBucketOwner }),
});

/** A volume can only be attached to an instance of its own region. */
function sameRegion(instance: Instance, region: string): Instance {
  if (instance.region === region) return instance;
  throw new SnapError('USAGE', `this instance is in ${instance.region}, the snapshots asked for are in ${region}`, {
    hint: `run on an instance in ${region}, or give --region ${instance.region}; AWS_REGION, AWS_DEFAULT_REGION and the profile can name a region, too`,
  });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
