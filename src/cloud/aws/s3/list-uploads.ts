/** Lists multipart uploads that have been neither completed nor aborted. */
import { now } from '../../../lib/clock.ts';
import type { UnfinishedUpload } from '../../ports.ts';
import { ListMultipartUploadsCommand, type S3Client } from '../sdk.ts';
import type { bucketArguments } from './store-settings.ts';

export async function listUploads(
  client: S3Client,
  bucket: ReturnType<typeof bucketArguments>,
  Prefix: string,
  abortSignal: AbortSignal,
): Promise<UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  let markers: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
  while (markers) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ ...bucket, Prefix, ...markers });
    const page = await client.send(command, { abortSignal });
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      found.push({ key: Key, uploadId: UploadId, initiatedAt: Initiated ?? now() });
    }
    const { NextKeyMarker = '', NextUploadIdMarker = '' } = page;
    markers = page.IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : null;
  }
  return found;
}
