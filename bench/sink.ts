/** A store that responds like S3 and discards everything, so that only the cost of the sender is measured. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const document = (root: string, content: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${root}>${content}</${root}>`;

/** The response depends only on the method, the path and the names in the query. */
function answerTo(request: IncomingMessage): { status: number; body: string } {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://sink');
  // Every bucket exists, and no object does.
  if (request.method === 'HEAD') return { status: /^\/[^/]+\/?$/.test(pathname) ? 200 : 404, body: '' };
  if (request.method === 'POST' && query.has('uploads')) {
    return { status: 200, body: document('InitiateMultipartUploadResult', '<UploadId>1</UploadId>') };
  }
  if (request.method === 'POST') {
    return { status: 200, body: document('CompleteMultipartUploadResult', '<ETag>"0-1"</ETag>') };
  }
  if (request.method === 'GET') return answerToGet(query);
  return { status: request.method === 'DELETE' ? 204 : 200, body: '' };
}

/** All lists are empty. */
function answerToGet(query: URLSearchParams): { status: number; body: string } {
  if (query.has('list-type')) return { status: 200, body: document('ListBucketResult', '') };
  if (query.has('uploads')) return { status: 200, body: document('ListMultipartUploadsResult', '') };
  return { status: 404, body: document('Error', '<Code>NoSuchKey</Code><Message>nothing is stored</Message>') };
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  request.on('end', () => {
    const { status, body } = answerTo(request);
    response.writeHead(status, { etag: '"00"', 'content-type': 'application/xml' });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
}

const server = createServer({ requestTimeout: 0 }, handle);
server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on('disconnect', () => process.exit(0));
