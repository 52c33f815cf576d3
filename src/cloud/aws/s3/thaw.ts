/** Thaws objects in archive classes. S3 calls this restore. */
import { SnapError } from '../../../errors.ts';
import type { ArchiveStore, ThawOrder } from '../../ports.ts';
import { isAwsError } from '../errors.ts';
import { RestoreObjectCommand, type S3Client } from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { bucketArguments, type StoreSettings } from './store-settings.ts';

/** Source: RestoreObject of the S3 API reference. */
export function s3Thaw(client: S3Client, settings: StoreSettings): Pick<ArchiveStore, 'thaw'> {
  const { at, translateErrors } = bucketCalls(client, bucketArguments(settings));
  return {
    thaw: (key, order, { signal }) =>
      translateErrors(`thaw ${at(key)}`, signal, async () => {
        const command = new RestoreObjectCommand({
          ...bucketArguments(settings),
          Key: key,
          RestoreRequest: requestOf(order),
        });
        try {
          const { $metadata } = await client.send(command);
          return $metadata.httpStatusCode === 200 ? 'restored' : 'requested';
        } catch (error) {
          if (isAwsError(error, 'RestoreAlreadyInProgress')) return 'ongoing';
          throw isAwsError(error, 'GlacierExpeditedRetrievalNotAvailable') ? noCapacity(key, error) : error;
        }
      }),
  };
}

const requestOf = ({ tier, days }: ThawOrder) => ({
  ...(days === null ? {} : { Days: days }),
  GlacierJobParameters: { Tier: tier },
});

const noCapacity = (key: string, cause: unknown): SnapError =>
  new SnapError('OBJECT_ARCHIVED', `S3 has no capacity for an expedited retrieval of ${key} at the moment`, {
    hint: 'run the command again later, use --thaw-tier Standard, or buy provisioned capacity',
    cause,
  });
