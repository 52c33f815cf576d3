/**
 * Verifies Signature Version 4 in the Authorization header, or in the query of a presigned URL.
 * Source: "Create a signed AWS API request" of the IAM user guide.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ServiceError, type ServiceName } from './contract.ts';

export interface Claimed {
  accessKeyId: string;
  sessionToken: string | undefined;
  scope: string;
  timestamp: string;
  signature: string;
  signedHeaders: string[];
  /** The number of seconds for which a presigned URL is valid. */
  expires: number | null;
}

export interface Codes {
  missing: string;
  unknownKey: string;
  mismatch: string;
  expired: string;
  skewed: string;
}

const DIALECTS: Record<'s3' | 'sts' | 'other', Codes> = {
  s3: {
    missing: 'AccessDenied',
    unknownKey: 'InvalidAccessKeyId',
    mismatch: 'SignatureDoesNotMatch',
    expired: 'ExpiredToken',
    skewed: 'RequestTimeTooSkewed',
  },
  sts: {
    missing: 'MissingAuthenticationToken',
    unknownKey: 'InvalidClientTokenId',
    mismatch: 'SignatureDoesNotMatch',
    expired: 'ExpiredToken',
    skewed: 'SignatureDoesNotMatch',
  },
  other: {
    missing: 'AuthFailure',
    unknownKey: 'AuthFailure',
    mismatch: 'AuthFailure',
    expired: 'RequestExpired',
    skewed: 'RequestExpired',
  },
};

export const dialectOf = (service: ServiceName): Codes =>
  service === 's3' || service === 'sts' ? DIALECTS[service] : DIALECTS.other;

/** @returns the claimed caller of the request. @throws ServiceError if the request is not signed. */
export function readClaim(request: IncomingMessage, codes: Codes): Claimed {
  const url = new URL(request.url ?? '/', 'http://lab');
  return request.headers.authorization ? fromHeader(request, codes) : fromQuery(url, codes);
}

function fromHeader(request: IncomingMessage, codes: Codes): Claimed {
  const header = request.headers.authorization ?? '';
  const found =
    /^AWS4-HMAC-SHA256\s+Credential=([^/]+)\/([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]+)$/.exec(header);
  if (!found) throw new ServiceError(codes.missing, 'The authorization header is not understood', 403);
  const [, accessKeyId = '', scope = '', signedHeaders = '', signature = ''] = found;
  return {
    accessKeyId,
    scope,
    signature,
    signedHeaders: signedHeaders.split(';'),
    sessionToken: headerText(request, 'x-amz-security-token'),
    timestamp: headerText(request, 'x-amz-date') ?? '',
    expires: null,
  };
}

function fromQuery(url: URL, codes: Codes): Claimed {
  const value = (name: string): string => url.searchParams.get(name) ?? '';
  if (value('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') throw new ServiceError(codes.missing, 'Access Denied', 403);
  const [accessKeyId = '', ...scope] = value('X-Amz-Credential').split('/');
  return {
    accessKeyId,
    scope: scope.join('/'),
    signature: value('X-Amz-Signature'),
    signedHeaders: value('X-Amz-SignedHeaders').split(';'),
    sessionToken: url.searchParams.get('X-Amz-Security-Token') ?? undefined,
    timestamp: value('X-Amz-Date'),
    expires: Number(value('X-Amz-Expires')),
  };
}

const headerText = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
};

export const signingKeyOf = (secret: string, scope: string): Buffer =>
  scope
    .split('/')
    .reduce<Buffer>((key, part) => createHmac('sha256', key).update(part).digest(), Buffer.from(`AWS4${secret}`));

/** The inputs of a signature besides the request itself. */
interface Signing {
  signingKey: Buffer;
  payloadSha256: string;
  /** Whether the path is encoded twice, as by all services except S3. */
  doubleEncode: boolean;
  codes: Codes;
}

/** @throws ServiceError if the signature does not match the secret. */
export function verify(
  request: IncomingMessage,
  claim: Claimed,
  { signingKey, payloadSha256, doubleEncode, codes }: Signing,
): void {
  const canonical = canonicalRequest(request, claim, payloadSha256, doubleEncode);
  const toSign = ['AWS4-HMAC-SHA256', claim.timestamp, claim.scope, sha256(canonical)].join('\n');
  const expected = createHmac('sha256', signingKey).update(toSign).digest();
  const given = Buffer.from(claim.signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError(
      codes.mismatch,
      'The request signature we calculated does not match the signature you provided',
      403,
    );
  }
}

function canonicalRequest(request: IncomingMessage, claim: Claimed, payload: string, doubleEncode: boolean): string {
  const [rawPath = '/', rawQuery = ''] = (request.url ?? '/').split(/\?(.*)/s);
  const path = doubleEncode ? rawPath.split('/').map(encode).join('/') : normalized(rawPath);
  const headers = claim.signedHeaders.map((name) => {
    const value = headerText(request, name) ?? '';
    return `${name}:${value.trim().replace(/\s+/g, ' ')}\n`;
  });
  return [
    request.method,
    path,
    canonicalQuery(rawQuery),
    headers.join(''),
    claim.signedHeaders.join(';'),
    payload,
  ].join('\n');
}

/** S3 signs the path encoded once by its own rules, even if the client did not encode it. */
const normalized = (path: string): string =>
  path
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/');

/** Sorts by name, then by value. Sorting the pairs as texts would put `a-b=1` before `a=1`. */
const canonicalQuery = (query: string): string =>
  query
    .split('&')
    .filter((pair) => pair !== '' && !pair.startsWith('X-Amz-Signature='))
    .map((pair) => {
      const [name = '', value = ''] = pair.split(/=(.*)/s);
      return [encode(decodePlus(name)), encode(decodePlus(value))] as const;
    })
    .sort(([a, x], [b, y]) => inOrder(a, b) || inOrder(x, y))
    .map((pair) => pair.join('='))
    .join('&');

const inOrder = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

const decodePlus = (text: string): string => decodeURIComponent(text.replaceAll('+', '%20'));

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

export const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/** Parses times such as `20261122T224119Z`. */
export const parseAmzDate = (text: string): Date =>
  new Date(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
