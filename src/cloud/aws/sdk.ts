/**
 * The parts of the AWS SDK that this program uses. No other module imports the SDK. The build keeps only these names
 * and what they need, which makes the program load faster (docs/development/decisions/011-few-files.md).
 */
export {
  CompleteSnapshotCommand,
  EBSClient,
  GetSnapshotBlockCommand,
  PutSnapshotBlockCommand,
  paginateListChangedBlocks,
  paginateListSnapshotBlocks,
  StartSnapshotCommand,
} from '@aws-sdk/client-ebs';
export {
  AttachVolumeCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  type CreateVolumeCommandInput,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DescribeInstanceAttributeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  EC2Client,
  type Filter as Ec2Filter,
  paginateDescribeImages,
  paginateDescribeSnapshots,
  paginateDescribeVolumes,
  type Snapshot,
  type Volume,
  type VolumeType,
} from '@aws-sdk/client-ec2';
export { type Filter as PriceFilter, PricingClient, paginateGetProducts } from '@aws-sdk/client-pricing';
export {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  type HeadBucketCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type LifecycleRule,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  type ListPartsCommandOutput,
  type NoncurrentVersionExpiration,
  type ObjectLockConfiguration,
  type Part,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  RestoreObjectCommand,
  S3Client,
  type ServerSideEncryption,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
export { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
export { partition } from '@aws-sdk/core/client';
export { defaultProvider } from '@aws-sdk/credential-provider-node';
export { loadSharedConfigFiles } from '@smithy/core/config';
export { getEndpointFromInstructions } from '@smithy/core/endpoints';
export { HttpRequest } from '@smithy/core/protocols';
export { StandardRetryStrategy } from '@smithy/core/retry';
export { getSmithyContext } from '@smithy/core/transport';
export { getInstanceMetadataEndpoint } from '@smithy/credential-provider-imds';
export type { RetryErrorInfo, StandardRetryToken } from '@smithy/types';
