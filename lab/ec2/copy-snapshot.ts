/** Copies snapshots. Source: CopySnapshot of the EC2 API reference. */
import { type LabContext, ServiceError } from '../core/contract.ts';
import { DEFAULT_KEY, WITHOUT_VOLUME } from '../ebs/contract.ts';
import { findSnapshot, registerSnapshot, usableSnapshot } from './snapshots.ts';
import type { Ec2State, StoredSnapshot } from './state.ts';
import { creationTags, type Tag, toTagSet } from './tags.ts';

export interface CopyInput {
  SourceRegion?: string;
  SourceSnapshotId?: string;
  Description?: string;
  Encrypted?: boolean;
  KmsKeyId?: string;
  TagSpecifications?: { ResourceType?: string; Tags?: Tag[] }[];
}

/**
 * The copy has the same blocks, but no relation to its source or to other copies. Tags are not copied.
 * @param region the called region, which gets the copy.
 */
export async function copySnapshot(
  state: Ec2State,
  context: LabContext,
  input: CopyInput,
  region: string,
): Promise<object> {
  const source = sourceOf(state, context, input);
  const copy = await registerSnapshot(state, context, {
    imagePath: state.snapshotImage(source.id),
    volumeId: WITHOUT_VOLUME,
    sizeGiB: source.sizeGiB,
    region,
    dataBytes: source.dataBytes,
    description: input.Description ?? '',
    tags: creationTags(input.TagSpecifications, 'snapshot'),
    writtenZeros: source.writtenZeros ?? [],
    ...encryptionOf(input, source),
  });
  copy.sealedAt = context.now().getTime();
  state.save();
  return { SnapshotId: copy.id, Tags: toTagSet(copy.tags) };
}

function sourceOf(state: Ec2State, context: LabContext, input: CopyInput): StoredSnapshot {
  const { SourceRegion, SourceSnapshotId = '' } = input;
  if (SourceRegion === undefined) {
    throw new ServiceError('MissingParameter', 'The request must contain the parameter sourceRegion');
  }
  const { region = context.region } = findSnapshot(state, SourceSnapshotId);
  if (region !== SourceRegion) {
    throw new ServiceError('InvalidSnapshot.NotFound', `The snapshot '${SourceSnapshotId}' does not exist.`);
  }
  return usableSnapshot(state, context, SourceSnapshotId);
}

/** Copies of encrypted snapshots are encrypted, by default with the default key of the account. */
function encryptionOf({ Encrypted, KmsKeyId }: CopyInput, source: StoredSnapshot) {
  const encrypted = Encrypted === true || source.encrypted;
  if (KmsKeyId !== undefined && !encrypted) {
    throw new ServiceError(
      'InvalidParameterDependency',
      'The parameter KmsKeyId requires the parameter Encrypted to be set.',
    );
  }
  return encrypted ? { encrypted, kmsKeyId: KmsKeyId ?? DEFAULT_KEY } : { encrypted };
}
