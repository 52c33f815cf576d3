/** S3 in path style. BEHAVIOUR.md has the source of each behaviour. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { ConnectionGone, type LabContext, type Leftover, type Service, ServiceError } from '../core/contract.ts';
import type { Exchange } from './exchange.ts';
import { applyLifecycle, type LifecycleAction } from './lifecycle/apply.ts';
import { type Route, routeOf } from './routes.ts';
import { S3Store } from './store/store.ts';
import { escapeXml } from './xml.ts';

export interface S3Service extends Service {
  /** Applies the lifecycle rules of all buckets. */
  applyLifecycle(): LifecycleAction[];
  createBucket(name: string, settings?: { ownerId?: string; region?: string }): void;
}

export async function createS3Service(context: LabContext): Promise<S3Service> {
  const store = new S3Store(join(context.directory, 's3'));
  return {
    name: 's3',
    handle: async (request, response) => {
      response.setHeader('x-amz-request-id', randomUUID());
      response.setHeader('date', context.now().toUTCString());
      try {
        await answer(request, response, context, store);
      } catch (error) {
        context.failed('s3', request, error);
        fail(error, request, response);
      }
    },
    createBucket: (name, { ownerId = context.accountId, region = context.region } = {}) =>
      store.saveBucket({ name, ownerId, region, created: context.now().toISOString() }),
    applyLifecycle: () => applyLifecycle(store, context.now()),
    leftovers: async () =>
      store.uploads.map(
        ({ id, bucket, key }): Leftover => ({ kind: 'multipart-upload', id, detail: `${bucket}/${key}` }),
      ),
    close: async () => {},
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  context: LabContext,
  store: S3Store,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://s3');
  const [, bucketName = '', key = ''] = (/^\/([^/]*)\/?([\s\S]*)$/.exec(url.pathname) ?? []).map(decodeURIComponent);
  const { method = '', headers } = request;
  const route = routeOf({ method, bucket: bucketName, key, query: url.searchParams, headers });
  const signed = context.authenticate('s3', request);
  if (!route)
    throw new ServiceError(
      'NotImplemented',
      'A header or query you provided implies functionality that is not implemented.',
      501,
    );
  const details = {
    bucket: bucketName,
    key,
    partNumber: url.searchParams.get('partNumber') ?? '',
    uploadId: url.searchParams.get('uploadId') ?? '',
    range: request.headers.range ?? '',
  };
  const { behaviours } = await context.admit({ service: 's3', operation: route.operation, details }, request, response);
  const exchange: Exchange = {
    operation: route.operation,
    request,
    response,
    context,
    store,
    signed,
    bucketName,
    key,
    query: url.searchParams,
    behaviours,
  };
  authorize(exchange, route);
  await route.run(exchange);
}

/** Further permissions that headers of a request need. */
const HEADER_ACTIONS = {
  'x-amz-tagging': 's3:PutObjectTagging',
  'x-amz-object-lock-mode': 's3:PutObjectRetention',
  'x-amz-object-lock-legal-hold': 's3:PutObjectLegalHold',
};

function authorize({ context, signed, bucketName, key, request }: Exchange, route: Route): void {
  const bucketArn = `arn:aws:s3:::${bucketName || '*'}`;
  const more = Object.entries(HEADER_ACTIONS).flatMap(([name, action]) =>
    request.headers[name] === undefined ? [] : [action],
  );
  for (const action of [...route.actions, ...more]) {
    const resources = [key === '' && action !== 's3:DeleteObject' ? bucketArn : `${bucketArn}/${key || '*'}`];
    if (context.allowed(signed.caller, { action, resources })) continue;
    throw new ServiceError(
      'AccessDenied',
      `User: ${signed.caller.arn} is not authorized to perform: ${action} on resource: "${resources[0]}"`,
      403,
    );
  }
}

/** Responses to HEAD have no body, so errors have only a status. */
function fail(error: unknown, request: IncomingMessage, response: ServerResponse): void {
  if (error instanceof ConnectionGone || request.socket.destroyed) return;
  const { code, message, status, extra } =
    error instanceof ServiceError ? error : new ServiceError('InternalError', String(error), 500);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // The unread rest of a body would block the connection.
  if (!request.complete) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'application/xml' });
  if (request.method === 'HEAD') response.end();
  else response.end(errorDocument(code, message, extra));
  request.resume();
}

function errorDocument(code: string, message: string, extra: Readonly<Record<string, string>>): string {
  const more = Object.entries(extra).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message>${more.join('')}</Error>`;
}
