/** The EBS direct APIs. BEHAVIOUR.md has the source of each behaviour. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectionGone, type LabContext, type Service, ServiceError } from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import { sha256 } from '../core/sigv4.ts';
import { failure, type SnapshotShelf } from './contract.ts';
import { BlockReader } from './reading.ts';
import { SnapshotWriter } from './writing.ts';

interface Route {
  operation: string;
  method: string;
  /** The group `id` is that of a snapshot, and `index` is that of a block. */
  path: RegExp;
}

const ROUTES: Route[] = [
  { operation: 'StartSnapshot', method: 'POST', path: /^\/snapshots$/ },
  { operation: 'CompleteSnapshot', method: 'POST', path: /^\/snapshots\/completion\/(?<id>[^/]+)$/ },
  { operation: 'ListSnapshotBlocks', method: 'GET', path: /^\/snapshots\/(?<id>[^/]+)\/blocks$/ },
  { operation: 'ListChangedBlocks', method: 'GET', path: /^\/snapshots\/(?<id>[^/]+)\/changedblocks$/ },
  { operation: 'GetSnapshotBlock', method: 'GET', path: /^\/snapshots\/(?<id>[^/]+)\/blocks\/(?<index>\d+)$/ },
  { operation: 'PutSnapshotBlock', method: 'PUT', path: /^\/snapshots\/(?<id>[^/]+)\/blocks\/(?<index>\d+)$/ },
];

export function createEbsService(context: LabContext, shelf: SnapshotShelf): Service {
  const reader = new BlockReader(context, shelf);
  const writer = new SnapshotWriter(context, shelf);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://ebs');
    const { operation, snapshotId, index } = routeOf(request.method ?? '', url.pathname);
    const body = request.method === 'GET' ? Buffer.alloc(0) : await readBody(request);
    const signed = context.authenticate('ebs', request, payloadHash(request, body));
    const details = { snapshotId, block: Number.isNaN(index) ? '' : String(index) };
    const { behaviours } = await context.admit({ service: 'ebs', operation, details }, request, response);
    const both = [snapshotId, url.searchParams.get('firstSnapshotId')].filter((id) => id !== null);
    const resources = both.map((id) => `arn:aws:ec2:${context.region}::snapshot/${id}`);
    if (!context.allowed(signed.caller, { action: `ebs:${operation}`, resources })) {
      const text = `${signed.caller.arn} is not authorized to perform: ebs:${operation} on ${resources.join(', ')}`;
      throw failure('AccessDeniedException', 403, 'UNAUTHORIZED_ACCOUNT', text);
    }
    const asked = { operation, snapshotId, query: url.searchParams, index, behaviours };
    switch (operation) {
      case 'ListSnapshotBlocks':
        return sendJson(response, 200, await reader.list(asked));
      case 'ListChangedBlocks':
        return sendJson(response, 200, await reader.listChanged(asked));
      case 'GetSnapshotBlock':
        return reader.get(asked, response);
      case 'StartSnapshot':
        return sendJson(response, 201, await writer.start(JSON.parse(body.toString()) as object));
      case 'PutSnapshotBlock':
        return sendJson(response, 201, {}, await writer.put(snapshotId, index, request.headers, body));
      case 'CompleteSnapshot':
        return sendJson(response, 202, await writer.complete(snapshotId, request.headers));
    }
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await answer(request, response);
    } catch (error) {
      context.failed('ebs', request, error);
      if (!(error instanceof ConnectionGone)) sendError(response, error);
    }
  };
  return { name: 'ebs', handle, leftovers: async () => [], close: async () => {} };
}

/** Blocks may be signed without their bytes, because their checksum is in a header. All other bodies are signed. */
const payloadHash = ({ headers }: IncomingMessage, body: Buffer): string =>
  headers['x-amz-content-sha256'] === 'UNSIGNED-PAYLOAD' ? 'UNSIGNED-PAYLOAD' : sha256(body);

function routeOf(asked: string, pathname: string) {
  for (const { operation, method, path } of ROUTES) {
    const found = method === asked ? path.exec(pathname) : null;
    if (found) return { operation, snapshotId: found.groups?.['id'] ?? '', index: Number(found.groups?.['index']) };
  }
  throw new ServiceError('UnknownOperationException', 'no such operation', 404);
}

const sendJson = (response: ServerResponse, status: number, value: object, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

function sendError(response: ServerResponse, error: unknown): void {
  const known = error instanceof ServiceError ? error : new ServiceError('InternalServerException', String(error), 500);
  const body = { Message: known.message, ...known.extra };
  sendJson(response, known.status, body, { 'x-amzn-errortype': known.code });
}
