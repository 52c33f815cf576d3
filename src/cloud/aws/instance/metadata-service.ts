/** Questions to the instance metadata service, by IMDSv2: each is answered, refused or given up within seconds. */
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { seconds } from '../../../lib/clock.ts';
import { getInstanceMetadataEndpoint } from '../sdk.ts';

/** A machine that is no instance has nobody at the address: it should learn so at once. */
const METADATA_TIMEOUT = seconds(2);

export class MetadataError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`the instance metadata service answered HTTP ${status}`);
    this.status = status;
  }
}

/**
 * @param endpoint `AWS_EC2_METADATA_SERVICE_ENDPOINT`; by default where the SDK finds the service.
 * @returns what is at a path such as `/latest/meta-data/instance-id`.
 * @throws MetadataError for a refusal; Node's own for a connection that fails, breaks off or takes too long.
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

/** The connection ends with the answer, whatever that is: one that stayed open would keep the program from ending. */
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
