/** Deletes objects and their versions. Source: "Deleting object versions" of the S3 user guide. */
import { ServiceError } from '../core/contract.ts';
import { checkWriteConditions } from './conditions.ts';
import { bucketOf, type Exchange, type Operation, sendEmpty, sendXml, smallBody } from './exchange.ts';
import { assertUnlocked } from './locks/rules.ts';
import type { Bucket, StoredVersion } from './store/model.ts';
import { parseXml } from './xml.ts';

interface Doomed {
  key: string;
  versionId: string | null;
}

/** What was removed or, if no version was named in a bucket with versioning, the marker that hides the object now. */
type Deletion = { removed: StoredVersion | null } | { marker: StoredVersion };

export const deleteObject: Operation = (exchange) => {
  const bucket = bucketOf(exchange);
  checkWriteConditions(exchange);
  const versionId = exchange.query.get('versionId');
  const deletion = deleteOne(exchange, bucket, { key: exchange.key, versionId });
  const version = 'marker' in deletion ? deletion.marker : deletion.removed;
  const id = 'marker' in deletion ? deletion.marker.versionId : versionId;
  sendEmpty(exchange, 204, {
    ...(version?.isDeleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
    ...(id === null ? {} : { 'x-amz-version-id': id }),
  });
};

/** Deleting something that does not exist succeeds. */
function deleteOne(exchange: Exchange, bucket: Bucket, { key, versionId }: Doomed): Deletion {
  const { store, context } = exchange;
  if (versionId !== null) {
    const version = store.objects.versionsOf(bucket.name, key).find((one) => one.versionId === versionId) ?? null;
    if (version) assertUnlocked(exchange, version);
    if (version) store.objects.drop(bucket.name, version);
    return { removed: version };
  }
  const marker = store.objects.delete(bucket, key, context.now().toISOString());
  return marker ? { marker } : { removed: null };
}

interface DeleteDocument {
  Object?: { Key: string; VersionId?: string }[];
  Quiet?: string;
}

export const deleteObjects: Operation = async (exchange) => {
  const bucket = bucketOf(exchange);
  const { Object: objects = [], Quiet } = parseXml(await smallBody(exchange), 'Delete') as DeleteDocument;
  const deleted: Record<string, string | boolean>[] = [];
  const errors: Record<string, string>[] = [];
  for (const { Key, VersionId } of objects) {
    const named = { Key, ...(VersionId === undefined ? {} : { VersionId }) };
    try {
      if (VersionId !== undefined) checkPermission(exchange, Key);
      const deletion = deleteOne(exchange, bucket, { key: Key, versionId: VersionId ?? null });
      deleted.push({ ...named, ...markerOf(deletion) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({ ...named, Code: error.code, Message: error.message });
    }
  }
  sendXml(exchange, 'DeleteResult', { Deleted: Quiet === 'true' ? [] : deleted, Error: errors });
};

function checkPermission({ context, signed, bucketName }: Exchange, key: string): void {
  const resources = [`arn:aws:s3:::${bucketName}/${key}`];
  if (context.allowed(signed.caller, { action: 's3:DeleteObjectVersion', resources })) return;
  throw new ServiceError('AccessDenied', 'Access Denied', 403);
}

function markerOf(deletion: Deletion): Record<string, string | boolean> {
  const version = 'marker' in deletion ? deletion.marker : deletion.removed;
  return version?.isDeleteMarker ? { DeleteMarker: true, DeleteMarkerVersionId: version.versionId } : {};
}
