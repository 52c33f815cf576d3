/** Creates the services that operations use from the AWS adapters. No other module does. */

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
import { bucketRegionOf } from './operations/shared/bucket-prices.ts';
import type { AnalyzeServices, Services } from './operations/shared/services.ts';
import { BlockRateLimiter } from './transfer/rate-limiter.ts';

export interface AwsChoices {
  region?: string;
  profile?: string;
  endpointUrl?: string;
  /** Maximum number of blocks that are read through the EBS direct APIs per second (default: 900). */
  maxBlockRate?: number;
  /** Seconds without any transferred data after which a call is retried (default: 30). */
  callTimeout?: number;
  bucket: string;
  storageClass: string;
  sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  sseKmsKeyId?: string;
  expectedBucketOwner?: string;
}

/** The quota of a snapshot is 1,000 blocks per second; a tenth is left to others. Source: "Quotas for EBS direct APIs". */
const DEFAULT_BLOCK_RATE = 900;

/**
 * @param env the environment, which provides regions, endpoints and credentials as for the AWS SDK.
 * @throws SnapError `USAGE` if the profile does not exist, or a proxy or CA bundle cannot be used; `NOT_ON_INSTANCE` if no
 *   region is given and this is not an instance.
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
  const store = s3ArchiveStore(s3, storeSettings(choices));
  return {
    snapshots: awsSnapshots(ec2),
    snapshotsIn: (other) => awsSnapshots(ec2Client({ ...settings, region: other, onRetry: tellOf('EC2') })),
    blocks: awsSnapshotBlocks(ebs),
    newSnapshots: awsNewSnapshots(ebs, ec2),
    rateLimiter,
    directAccess: { ...settings, blockRate },
    bucketAccess: { ...settings, ...ownerOf(choices), bucket: choices.bucket },
    volumes: awsVolumes(ec2),
    store,
    examiner: awsExaminer(ec2, s3.control, storeSettings(choices)),
    region,
    bucketRegion: bucketRegionOf(store),
    callerIdentity: awsCallerIdentity(sts, s3.control, choices.bucket),
    instance: () => instance().then((found) => sameRegion(found, region)),
    awaitNotice,
    searchPath: searchPathOf(env),
    host,
  };
}

/**
 * Creates the services for `analyze`. It makes no calls: the reports determine which buckets and regions are called later.
 * @throws SnapError `USAGE` if the profile does not exist, or a proxy or CA bundle cannot be used.
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

/** Any endpoint of S3 reports the region of a bucket. */
const ANY_REGION = 'us-east-1';

/** The settings of connections, and the region, which is searched for in the same order as by the AWS CLI. */
async function connection(choices: Omit<AwsChoices, 'bucket' | 'storageClass'>, env: NodeJS.ProcessEnv) {
  const profile = await readProfile(choices.profile, env);
  const region = choices.region || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || profile.region;
  return {
    region: region || undefined,
    ...credentialProfile(choices.profile, profile.name, env),
    ...(choices.endpointUrl === undefined ? {} : { s3Endpoint: choices.endpointUrl }),
    callTimeout: choices.callTimeout ?? 30,
    network: networkOf(env, profile.caBundle),
    forcePathStyle: [choices.endpointUrl, env['AWS_ENDPOINT_URL_S3'], env['AWS_ENDPOINT_URL']].some(Boolean),
  };
}

/**
 * The profile that provides the credentials, as for the AWS CLI: keys in the environment come before a profile that the
 * environment names, but after `--profile`.
 */
function credentialProfile(
  chosen: string | undefined,
  named: string | undefined,
  env: NodeJS.ProcessEnv,
): { profile?: string } {
  const hasKeys = Boolean(env['AWS_ACCESS_KEY_ID'] && env['AWS_SECRET_ACCESS_KEY']);
  // Without a value, the SDK would use `AWS_PROFILE`, and warn that it does. An empty name selects the keys.
  if (hasKeys && !chosen) return { profile: '' };
  return named === undefined ? {} : { profile: named };
}

/**
 * The price list of AWS, which needs credentials but no region.
 * @throws SnapError `USAGE` if the profile does not exist, or a proxy or CA bundle cannot be used.
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
  ...ownerOf(choices),
});

const ownerOf = ({ expectedBucketOwner }: AwsChoices): Pick<StoreSettings, 'expectedBucketOwner'> =>
  expectedBucketOwner === undefined ? {} : { expectedBucketOwner };

/** A volume can only be attached to an instance of its own region. */
function sameRegion(instance: Instance, region: string): Instance {
  if (instance.region === region) return instance;
  throw new SnapError('USAGE', `this instance is in ${instance.region}, but the snapshots are in ${region}`, {
    hint: `run on an instance in ${region}, or use --region ${instance.region}; AWS_REGION, AWS_DEFAULT_REGION and the profile also set the region`,
  });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
