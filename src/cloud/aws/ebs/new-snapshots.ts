/** Writes snapshots block by block with the EBS direct APIs. */
import { SnapError } from '../../../errors.ts';
import { BLOCK_BYTES, type NewSnapshots } from '../../blocks.ts';
import { toTagList } from '../ec2/tag-list.ts';
import { isAwsError, translateErrors } from '../errors.ts';
import { GRACE, withGrace } from '../grace.ts';
import {
  CompleteSnapshotCommand,
  DeleteSnapshotCommand,
  type EBSClient,
  type EC2Client,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from '../sdk.ts';

/** Minutes without a new block after which EBS abandons an unfinished snapshot. */
const SNAPSHOT_TIMEOUT_MINUTES = 60;

export function awsNewSnapshots(ebs: EBSClient, ec2: EC2Client, grace = GRACE): NewSnapshots {
  return {
    start: ({ sizeGiB, description, tags, kmsKeyArn, encrypted }, { signal }) =>
      translateErrors('start a snapshot', signal, async () => {
        const command = new StartSnapshotCommand({
          VolumeSize: sizeGiB,
          Description: description,
          Tags: toTagList(tags),
          Timeout: SNAPSHOT_TIMEOUT_MINUTES,
          ...(encrypted ? { Encrypted: true } : {}),
          ...(kmsKeyArn === null ? {} : { KmsKeyArn: kmsKeyArn }),
        });
        const { SnapshotId, KmsKeyArn } = await ebs.send(command);
        if (SnapshotId === undefined) throw new SnapError('CLOUD_CALL', 'EBS started a snapshot but returned no id');
        // EBS returns a key also if the account encrypts by default.
        return { id: SnapshotId, isEncrypted: KmsKeyArn !== undefined };
      }),

    put: (SnapshotId, BlockIndex, { bytes, sha256 }, { signal }) =>
      translateErrors(`write block ${BlockIndex} of ${SnapshotId}`, signal, async () => {
        const command = new PutSnapshotBlockCommand({
          SnapshotId,
          BlockIndex,
          BlockData: bytes,
          DataLength: BLOCK_BYTES,
          Checksum: sha256,
          ChecksumAlgorithm: 'SHA256',
        });
        await ebs.send(command, { abortSignal: signal });
      }),

    complete: (SnapshotId, blocks, sha256, { signal }) =>
      translateErrors(`complete ${SnapshotId}`, signal, async () => {
        const command = new CompleteSnapshotCommand({
          SnapshotId,
          ChangedBlocksCount: blocks,
          Checksum: sha256,
          ChecksumAlgorithm: 'SHA256',
          ChecksumAggregationMethod: 'LINEAR',
        });
        try {
          await withGrace(signal, grace, (abortSignal) => ebs.send(command, { abortSignal }));
        } catch (error) {
          if (!isCompletedEarlier(error)) throw error;
        }
      }),

    delete: (SnapshotId, { signal }) =>
      translateErrors(`delete ${SnapshotId}`, signal, async () => {
        try {
          await ec2.send(new DeleteSnapshotCommand({ SnapshotId }), { abortSignal: signal });
        } catch (error) {
          if (!isAwsError(error, 'InvalidSnapshot.NotFound')) throw error;
        }
      }),
  };
}

/**
 * If the response to a successful attempt was lost, the next attempt finds a snapshot that can no longer be written.
 * The caller waits for the snapshot to become `completed`, so a wrong guess is detected there.
 */
function isCompletedEarlier(error: unknown): boolean {
  const { Reason, $metadata } = error as { Reason?: string; $metadata?: { attempts?: number } };
  const isClosed = Reason === 'INVALID_SNAPSHOT_ID' || isAwsError(error, 'ConflictException');
  return isClosed && ($metadata?.attempts ?? 1) > 1;
}
