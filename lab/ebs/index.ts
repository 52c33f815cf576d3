/** The EBS direct APIs, as far as snapshots are read. BEHAVIOUR.md says what is known of each answer. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ConnectionGone, type LabContext, type Service, ServiceError } from '../core/contract.ts';
import type { StoredSnapshot } from '../ec2/state.ts';
import { Rate } from './rate.ts';
import { Tokens } from './tokens.ts';
import { BLOCK, writtenBlocks } from './written.ts';

/** What EC2 knows of snapshots. */
export interface SnapshotSource {
  snapshot(id: string): StoredSnapshot | undefined;
  image(id: string): string;
}

interface Request {
  snapshotId: string;
  query: URLSearchParams;
  /** Behind `blocks/`. */
  index: number;
  behaviours: Map<string, string>;
}

const LIMITS = { least: 100, most: 10_000 };

export function createEbsService(context: LabContext, source: SnapshotSource): Service {
  const tokens = new Tokens(context);
  const rate = new Rate(context);
  const written = new Map<string, Promise<number[]>>();
  const blocksOf = (id: string): Promise<number[]> => {
    const snapshot = source.snapshot(id);
    if (!snapshot) throw failure('ResourceNotFoundException', 404, 'SNAPSHOT_NOT_FOUND', `${id} does not exist`);
    const isReadable = snapshot.state === 'completed' && snapshot.storageTier === 'standard';
    if (!isReadable) throw failure('ValidationException', 400, 'INVALID_SNAPSHOT_ID', `${id} cannot be read`);
    const known = written.get(id) ?? writtenBlocks(source.image(id), snapshot.writtenZeros ?? []);
    written.set(id, known);
    return known;
  };
  const list = async ({ snapshotId, query, behaviours }: Request) => {
    const blocks = await blocksOf(snapshotId);
    const from = startOf(query, tokens, snapshotId);
    const first = blocks.findIndex((index) => index >= from);
    const size = behaviours.has('short-page') ? 1 : pageSize(query, context);
    const chosen = first < 0 ? [] : blocks.slice(first, first + size);
    const next = first < 0 ? undefined : blocks[first + size];
    return {
      Blocks: chosen.map((index) => ({ BlockIndex: index, BlockToken: tokens.forBlock(snapshotId, index) })),
      ...(next === undefined ? {} : { NextToken: tokens.forPage(snapshotId, next) }),
      ...facts(snapshotId, source, tokens),
    };
  };
  const get = async ({ snapshotId, query, index, behaviours }: Request, response: ServerResponse) => {
    await blocksOf(snapshotId);
    tokens.check(query.get('blockToken') ?? '', snapshotId, index);
    rate.take(snapshotId);
    await pause(context.delays.getBlock);
    const bytes = await readBlock(source.image(snapshotId), index);
    const checksum = createHash('sha256').update(bytes).digest('base64');
    if (behaviours.has('flip-bit')) bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    const headers = { 'x-amz-Data-Length': BLOCK, 'x-amz-Checksum': checksum, 'x-amz-Checksum-Algorithm': 'SHA256' };
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': BLOCK, ...headers });
    response.end(bytes);
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const url = new URL(request.url ?? '/', 'http://ebs');
      const [, snapshotId = '', what = '', block] =
        /^\/snapshots\/([^/]+)\/(blocks)(?:\/(\d+))?$/.exec(url.pathname) ?? [];
      if (what === '') throw new ServiceError('UnknownOperationException', 'no such operation', 404);
      const operation = block === undefined ? 'ListSnapshotBlocks' : 'GetSnapshotBlock';
      const signed = context.authenticate('ebs', request);
      const details = { snapshotId, block: block ?? '' };
      const { behaviours } = await context.admit({ service: 'ebs', operation, details }, request, response);
      const resources = [`arn:aws:ec2:${context.region}::snapshot/${snapshotId}`];
      if (!context.allowed(signed.caller, { action: `ebs:${operation}`, resources })) {
        const text = `${signed.caller.arn} is not authorized to perform: ebs:${operation} on ${resources[0]}`;
        throw failure('AccessDeniedException', 403, 'UNAUTHORIZED_ACCOUNT', text);
      }
      const asked = { snapshotId, query: url.searchParams, index: Number(block), behaviours };
      if (block === undefined) sendJson(response, 200, await list(asked));
      else await get(asked, response);
    } catch (error) {
      if (!(error instanceof ConnectionGone)) sendError(response, error);
    }
  };
  return { name: 'ebs', handle, leftovers: async () => [], close: async () => {} };
}

const failure = (code: string, status: number, reason: string, message: string): ServiceError =>
  new ServiceError(code, message, status, { Reason: reason });

function startOf(query: URLSearchParams, tokens: Tokens, snapshotId: string): number {
  const page = query.get('pageToken');
  return page === null ? Number(query.get('startingBlockIndex') ?? 0) : tokens.page(page, snapshotId);
}

function pageSize(query: URLSearchParams, context: LabContext): number {
  const asked = Number(query.get('maxResults') ?? LIMITS.most);
  if (!(asked >= LIMITS.least && asked <= LIMITS.most)) {
    throw failure('ValidationException', 400, 'INVALID_PARAMETER_VALUE', 'maxResults must be 100 to 10000');
  }
  return Math.min(asked, context.pageSize ?? asked);
}

const facts = (id: string, source: SnapshotSource, tokens: Tokens) => ({
  VolumeSize: source.snapshot(id)?.sizeGiB ?? 0,
  BlockSize: BLOCK,
  ExpiryTime: tokens.expiry(),
});

async function readBlock(image: string, index: number): Promise<Buffer> {
  const bytes = Buffer.alloc(BLOCK);
  await using file = await open(image, 'r');
  await file.read(bytes, 0, BLOCK, index * BLOCK);
  return bytes;
}

const sendJson = (response: ServerResponse, status: number, value: object, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

function sendError(response: ServerResponse, error: unknown): void {
  const known = error instanceof ServiceError ? error : new ServiceError('InternalServerException', String(error), 500);
  const body = { Message: known.message, ...known.extra };
  sendJson(response, known.status, body, { 'x-amzn-errortype': known.code });
}
