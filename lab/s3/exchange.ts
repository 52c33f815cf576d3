/** The request and the response of an operation. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LabContext, ServiceError, type SignedRequest } from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import { sha256 } from '../core/sigv4.ts';
import type { Bucket } from './store/model.ts';
import type { S3Store } from './store/store.ts';
import { type XmlValue, xmlDocument } from './xml.ts';

export interface Exchange {
  operation: string;
  request: IncomingMessage;
  response: ServerResponse;
  context: LabContext;
  store: S3Store;
  signed: SignedRequest;
  /** Empty for operations on the account. */
  bucketName: string;
  key: string;
  query: URLSearchParams;
  behaviours: Map<string, string>;
}

export type Operation = (exchange: Exchange) => Promise<void> | void;

/** Returns the bucket of a request. @throws ServiceError if it does not exist or belongs to another account. */
export function bucketOf({ store, bucketName, request }: Exchange): Bucket {
  const bucket = store.bucket(bucketName);
  if (!bucket)
    throw new ServiceError('NoSuchBucket', 'The specified bucket does not exist', 404, { BucketName: bucketName });
  const expected = request.headers['x-amz-expected-bucket-owner'];
  if (expected !== undefined && expected !== bucket.ownerId)
    throw new ServiceError('AccessDenied', 'Access Denied', 403);
  return bucket;
}

export const header = ({ request }: Exchange, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
};

/** Reads a small body and verifies its hash. */
export async function smallBody({ request }: Exchange): Promise<Buffer> {
  const body = await readBody(request);
  const expected = String(request.headers['x-amz-content-sha256'] ?? '');
  if (/^[0-9a-f]{64}$/.test(expected) && expected !== sha256(body)) {
    throw new ServiceError(
      'XAmzContentSHA256Mismatch',
      'The provided x-amz-content-sha256 header does not match what was computed.',
    );
  }
  return body;
}

export function sendXml(
  { response }: Exchange,
  root: string,
  content: { [name: string]: XmlValue },
  headers: Record<string, string> = {},
): void {
  response.writeHead(200, { 'content-type': 'application/xml', ...headers }).end(xmlDocument(root, content));
}

/** Buckets that never had versioning do not show ids of versions. */
export const versionHeaders = ({ versioning }: Bucket, { versionId }: { versionId: string }): Record<string, string> =>
  versioning === undefined ? {} : { 'x-amz-version-id': versionId };

export const sendEmpty = ({ response }: Exchange, status: number, headers: Record<string, string> = {}): void => {
  response.writeHead(status, headers).end();
};

/** Encodes a key as S3 does for `encoding-type=url`. */
export const encodeKey = (key: string, query: URLSearchParams): string =>
  query.get('encoding-type') === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/') : key;
