/**
 * Reads small objects with little processor time: the commands of the SDK take two thirds of that of a read
 * (docs/development/decisions/018-small-reads.md).
 */
import type { Readable } from 'node:stream';
import { crc32Of, encodeCrc32 } from '../../../lib/bytes/crc32.ts';
import { now } from '../../../lib/clock.ts';
import type { SmallObject } from '../../ports.ts';
import { answeredAt } from '../clients.ts';
import type { S3Client } from '../sdk.ts';
import { MAX_SMALL_OBJECT_BYTES, readWhole } from './read-whole.ts';
import { repeatForKeys, type SendForKey } from './sent-request.ts';

type ReadSmall = (key: string, signal: AbortSignal) => Promise<SmallObject>;

/**
 * Repeats the last request that the SDK sent successfully, with another key. If the response is anything but a complete
 * object, that read and those that follow go through the SDK, until one succeeds: retries, the clock of S3, redirects
 * and errors are the SDK's business alone.
 */
export function smallReader(client: S3Client, bucket: { Bucket: string }): ReadSmall {
  let send: SendForKey | null = null;
  return async (key, signal) => {
    const found = send === null ? null : await readOnce(send, key, client, signal);
    if (found !== null) return found;
    send = null;
    const { answer, body, sent } = await readWhole(client, { ...bucket, Key: key }, signal);
    send = sent === null ? null : await repeatForKeys(sent, key, client);
    const modifiedAt = answer.LastModified ?? now();
    return { etag: answer.ETag ?? '', body, modifiedAt, answeredAt: answeredAt(answer) ?? modifiedAt };
  };
}

/** @returns `null` if the read failed, or if its result cannot be verified here. */
async function readOnce(
  send: SendForKey,
  key: string,
  client: S3Client,
  signal: AbortSignal,
): Promise<SmallObject | null> {
  try {
    const date = new Date(now().getTime() + client.config.systemClockOffset);
    const { response } = await send(key, date, signal);
    const body = response.body as Readable;
    const facts = response.statusCode === 200 ? factsOf(response.headers) : null;
    if (facts === null) {
      body.destroy();
      return null;
    }
    const bytes = await collect(body);
    const isWhole =
      bytes.length === facts.bytes && (facts.crc32 === null || encodeCrc32(crc32Of(bytes).value) === facts.crc32);
    return isWhole ? { ...facts.times, etag: facts.etag, body: bytes } : null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

interface Facts {
  etag: string;
  bytes: number;
  /** In Base64; `null` if S3 has none of the whole object. */
  crc32: string | null;
  times: Pick<SmallObject, 'modifiedAt' | 'answeredAt'>;
}

/** @returns `null` if the object is too long, or has a checksum that only the SDK can verify. */
function factsOf(headers: Record<string, string>): Facts | null {
  const bytes = Number(headers['content-length'] ?? Number.NaN);
  const modifiedAt = new Date(headers['last-modified'] ?? '');
  const answered = new Date(headers['date'] ?? '');
  if (!(bytes <= MAX_SMALL_OBJECT_BYTES) || Number.isNaN(modifiedAt.getTime())) return null;
  const crc32 = headers['x-amz-checksum-crc32'] ?? null;
  if (crc32 === null && Object.keys(headers).some((name) => OTHER_CHECKSUM.test(name))) return null;
  return {
    etag: headers['etag'] ?? '',
    bytes,
    crc32: crc32 !== null && COMPOSITE.test(crc32) ? null : crc32,
    times: { modifiedAt, answeredAt: Number.isNaN(answered.getTime()) ? modifiedAt : answered },
  };
}

const OTHER_CHECKSUM = /^x-amz-checksum-(?!type$)/;

/** A checksum of the checksums of parts, which the SDK does not verify either. */
const COMPOSITE = /-\d+$/;

/** @throws the error of the connection if it breaks or stalls. */
function collect(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  body.on('data', (chunk: Buffer) => chunks.push(chunk));
  body.once('end', () => resolve(Buffer.concat(chunks)));
  body.once('error', reject);
  body.once('close', () => reject(new Error('the connection was closed')));
  return promise;
}
