/**
 * Reads from the instance metadata service with IMDSv2. Each request is answered, refused or given up within seconds.
 */
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { seconds } from '../../../lib/clock.ts';
import { getInstanceMetadataEndpoint } from '../sdk.ts';

/** On a machine that is not an instance, nothing answers at this address. The timeout is short to find out soon. */
const METADATA_TIMEOUT = seconds(2);

export class MetadataError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the instance metadata service answered HTTP ${status}`);
    this.status = status;
  }
}

/**
 * @param path such as `/latest/meta-data/instance-id`.
 * @param endpoint value of `AWS_EC2_METADATA_SERVICE_ENDPOINT`; by default the endpoint that the SDK finds.
 * @throws MetadataError if the service refuses the request, and errors of Node if the connection fails or times out.
 */
export async function fetchMetadata(path: string, endpoint?: string): Promise<string> {
  const service = endpoint === undefined ? await defaultEndpoint() : parseEndpoint(endpoint);
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };
  const token = await send({ ...service, method: 'PUT', path: '/latest/api/token', headers: ttl });
  return send({ ...service, path, headers: { 'x-aws-ec2-metadata-token': token } });
}

async function defaultEndpoint(): Promise<RequestOptions> {
  const { protocol, hostname, port } = await getInstanceMetadataEndpoint();
  return { protocol, hostname, port };
}

function parseEndpoint(endpoint: string): RequestOptions {
  const { protocol, hostname, port } = new URL(endpoint);
  return { protocol, hostname, port };
}

/** Closes the connection after each response: an open connection would keep the process from exiting. */
async function send(options: RequestOptions): Promise<string> {
  const hostname = options.hostname?.replace(/^\[(.+)\]$/, '$1');
  const question = request({ ...options, hostname, agent: false, signal: AbortSignal.timeout(METADATA_TIMEOUT) });
  question.on('error', () => {});
  try {
    question.end();
    const [{ statusCode = 0 }, body] = await answerTo(question);
    if (statusCode !== 200) throw new MetadataError(statusCode);
    return body;
  } finally {
    question.destroy();
  }
}

async function answerTo(question: ReturnType<typeof request>): Promise<[IncomingMessage, string]> {
  const [answer] = (await once(question, 'response')) as [IncomingMessage];
  return [answer, await text(answer)];
}
