/** Reads the body of an upload: removes its framing, verifies all of its checksums, and stores it. */
import { createHash, createHmac } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { ServiceError, type SignedRequest } from '../core/contract.ts';
import { sha256 } from '../core/sigv4.ts';
import { ALGORITHMS, type Algorithm, headerOf, type Running, running } from './checksums.ts';

export interface ReceivedBody {
  bytes: number;
  /** In hexadecimal digits. */
  md5: string;
  checksums: Partial<Record<Algorithm, string>>;
}

export interface BodyOrder {
  file: string;
  signed: SignedRequest;
  /** A checksum that is computed even if the client sends none. */
  wanted: Algorithm | null;
}

/** @throws ServiceError after it has removed the file. */
export async function receiveBody(request: IncomingMessage, order: BodyOrder): Promise<ReceivedBody> {
  try {
    return await receive(request, order);
  } catch (error) {
    await unlink(order.file).catch(() => {});
    throw error;
  }
}

async function receive(request: IncomingMessage, order: BodyOrder): Promise<ReceivedBody> {
  const trailers = new Map<string, string>();
  const announced = announcedChecksums(request);
  const sums = new Map<Algorithm, Running>();
  for (const algorithm of new Set([...announced.keys(), ...(order.wanted ? [order.wanted] : [])])) {
    sums.set(algorithm, running(algorithm));
  }
  const payload = String(request.headers['x-amz-content-sha256'] ?? '');
  const payloadHash = /^[0-9a-f]{64}$/.test(payload) ? createHash('sha256') : null;
  const md5 = createHash('md5');
  let bytes = 0;
  await using file = await open(order.file, 'w');
  for await (const chunk of unframed(request, order.signed, trailers)) {
    md5.update(chunk);
    payloadHash?.update(chunk);
    for (const sum of sums.values()) sum.update(chunk);
    bytes += chunk.length;
    await file.write(chunk);
  }
  if (payloadHash && payloadHash.digest('hex') !== payload) {
    throw new ServiceError(
      'XAmzContentSHA256Mismatch',
      'The provided x-amz-content-sha256 header does not match what was computed.',
    );
  }
  const digest = md5.digest();
  checkMd5(request, digest);
  checkLength(request, bytes);
  return { bytes, md5: digest.toString('hex'), checksums: await verified(sums, announced, trailers) };
}

function checkMd5(request: IncomingMessage, digest: Buffer): void {
  const given = request.headers['content-md5'];
  if (given !== undefined && given !== digest.toString('base64')) {
    throw new ServiceError('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
}

/** Refuses a body that ends early, because it must not look like a short object. */
function checkLength(request: IncomingMessage, bytes: number): void {
  const given = request.headers['x-amz-decoded-content-length'] ?? request.headers['content-length'];
  if (given !== undefined && Number(given) !== bytes) {
    throw new ServiceError(
      'IncompleteBody',
      'You did not provide the number of bytes specified by the Content-Length HTTP header',
    );
  }
}

/** Returns the announced algorithms with the values in headers, or `null` if a value follows in a trailer. */
function announcedChecksums(request: IncomingMessage): Map<Algorithm, string | null> {
  const announced = new Map<Algorithm, string | null>();
  const trailer = String(request.headers['x-amz-trailer'] ?? '').toLowerCase();
  for (const algorithm of ALGORITHMS) {
    const value = request.headers[headerOf(algorithm)];
    if (typeof value === 'string') announced.set(algorithm, value);
    else if (trailer === headerOf(algorithm)) announced.set(algorithm, null);
  }
  return announced;
}

async function verified(
  sums: Map<Algorithm, Running>,
  announced: Map<Algorithm, string | null>,
  trailers: Map<string, string>,
): Promise<ReceivedBody['checksums']> {
  const result: ReceivedBody['checksums'] = {};
  for (const [algorithm, sum] of sums) {
    const value = await sum.digest();
    result[algorithm] = value;
    if (!announced.has(algorithm)) continue;
    const given = announced.get(algorithm) ?? trailers.get(headerOf(algorithm));
    if (given !== value) {
      throw new ServiceError('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
    }
  }
  return result;
}

/** Returns the bytes without `aws-chunked` framing, and collects the trailers. */
async function* unframed(
  request: IncomingMessage,
  signed: SignedRequest,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer> {
  const kind = String(request.headers['x-amz-content-sha256'] ?? '');
  if (!kind.startsWith('STREAMING-')) {
    yield* request as AsyncIterable<Buffer>;
    return;
  }
  const reader = new ChunkReader(request);
  const verifier = kind.startsWith('STREAMING-AWS4') ? new ChunkVerifier(signed) : null;
  for (;;) {
    const [size = '', ...extensions] = (await reader.line()).split(';');
    const length = Number.parseInt(size, 16);
    if (!/^[0-9a-fA-F]+$/.test(size)) throw new ServiceError('InvalidRequest', 'The chunk size is not understood');
    const signature = extensions.join(';').replace('chunk-signature=', '');
    if (length === 0) {
      verifier?.check(signature, Buffer.alloc(0));
      break;
    }
    const chunk = await reader.take(length);
    verifier?.check(signature, chunk);
    yield chunk;
    if ((await reader.line()) !== '') throw new ServiceError('InvalidRequest', 'A chunk is longer than it says');
  }
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    const [name = '', ...value] = line.split(':');
    trailers.set(name.trim().toLowerCase(), value.join(':').trim());
  }
}

/** Source: "Signature calculations: transferring a payload in multiple chunks" of the S3 API reference. */
class ChunkVerifier {
  readonly #signed: SignedRequest;
  #previous: string;

  constructor(signed: SignedRequest) {
    this.#signed = signed;
    this.#previous = signed.seedSignature;
  }

  check(signature: string, chunk: Buffer): void {
    const { timestamp, scope, signingKey } = this.#signed;
    const toSign = ['AWS4-HMAC-SHA256-PAYLOAD', timestamp, scope, this.#previous, sha256(''), sha256(chunk)].join('\n');
    const expected = createHmac('sha256', signingKey).update(toSign).digest('hex');
    if (signature !== expected) {
      throw new ServiceError(
        'SignatureDoesNotMatch',
        'The chunk signature we calculated does not match the one you provided',
        403,
      );
    }
    this.#previous = expected;
  }
}

class ChunkReader {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(request: IncomingMessage) {
    this.#source = (request as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    for (let at = this.#held.indexOf('\r\n'); ; at = this.#held.indexOf('\r\n')) {
      if (at >= 0) {
        const line = this.#held.subarray(0, at).toString('latin1');
        this.#held = this.#held.subarray(at + 2);
        return line;
      }
      if (this.#held.length > 16_384) throw new ServiceError('InvalidRequest', 'A chunk header is too long');
      if (!(await this.#more())) return '';
    }
  }

  async take(length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#held.length === 0 && !(await this.#more())) {
        throw new ServiceError('IncompleteBody', 'The request body terminated unexpectedly');
      }
      const piece = this.#held.subarray(0, missing);
      this.#held = this.#held.subarray(piece.length);
      pieces.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#source.next();
    if (done) return false;
    this.#held = this.#held.length === 0 ? value : Buffer.concat([this.#held, value]);
    return true;
  }
}
