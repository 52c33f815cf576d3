/** Version 2 of the instance metadata service. Version 1 is not supported. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectionGone, type LabContext, type Service, ServiceError } from '../core/contract.ts';
import type { Identity } from '../core/identities.ts';

export interface ImdsSettings {
  /** The content of `spot/instance-action`. `null` results in a 404 response. */
  spotAction: { action: 'stop' | 'terminate' | 'hibernate'; time: string } | null;
  /** The life of the role's credentials, in seconds. */
  roleSeconds: number;
  /** The credentials of the instance's role. */
  role: () => Identity;
}

const ROLE_NAME = 'lab-role';

const LONGEST_TTL = 21_600;

export function createImdsService(context: LabContext, settings: ImdsSettings): Service {
  /** The expiry of each token. */
  const tokens = new Map<string, number>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://imds').pathname;
    const isToken = request.method === 'PUT' && path === '/latest/api/token';
    try {
      await context.admit(
        { service: 'imds', operation: isToken ? 'PutToken' : 'GetMetadata', details: { path } },
        request,
        response,
      );
      const text = isToken ? newToken(request, tokens, context) : read(request, path, tokens, context, settings);
      response.writeHead(200, { 'content-type': 'text/plain' }).end(text);
    } catch (error) {
      if (error instanceof ConnectionGone) return;
      const { status, message } = error instanceof ServiceError ? error : new ServiceError('Error', String(error), 500);
      response.writeHead(status).end(message);
    }
  };
  return { name: 'imds', handle, leftovers: async () => [], close: async () => {} };
}

/** A token request through a proxy is refused. Source: "Use IMDSv2" of the EC2 user guide. */
function newToken(request: IncomingMessage, tokens: Map<string, number>, context: LabContext): string {
  if (request.headers['x-forwarded-for'] !== undefined) throw new ServiceError('Forbidden', 'Forbidden', 403);
  const ttl = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
  if (!Number.isInteger(ttl) || ttl < 1 || ttl > LONGEST_TTL) throw new ServiceError('BadRequest', 'Bad Request', 400);
  const token = randomBytes(40).toString('base64url');
  tokens.set(token, context.now().getTime() + ttl * 1000);
  return token;
}

function read(
  request: IncomingMessage,
  path: string,
  tokens: Map<string, number>,
  context: LabContext,
  settings: ImdsSettings,
): string {
  const expires = tokens.get(String(request.headers['x-aws-ec2-metadata-token'] ?? ''));
  if (expires === undefined || expires <= context.now().getTime())
    throw new ServiceError('Unauthorized', 'Unauthorized', 401);
  const value = documents(context, settings)[path.replace(/\/$/, '')];
  if (value === undefined) throw new ServiceError('NotFound', 'Not Found', 404);
  return value;
}

function documents(context: LabContext, { spotAction, role }: ImdsSettings): Record<string, string> {
  const { instance } = context;
  const credentials = '/latest/meta-data/iam/security-credentials';
  return {
    '/latest/dynamic/instance-identity/document': JSON.stringify({
      ...instance,
      architecture: 'x86_64',
      version: '2017-09-30',
      privateIp: '127.0.0.1',
    }),
    '/latest/meta-data/instance-id': instance.instanceId,
    '/latest/meta-data/instance-type': instance.instanceType,
    '/latest/meta-data/placement/availability-zone': instance.availabilityZone,
    '/latest/meta-data/placement/region': instance.region,
    [credentials]: ROLE_NAME,
    [`${credentials}/${ROLE_NAME}`]: roleDocument(role()),
    ...(spotAction ? { '/latest/meta-data/spot/instance-action': JSON.stringify(spotAction) } : {}),
  };
}

/** Source: "Retrieve security credentials from instance metadata" of the EC2 user guide. */
const roleDocument = (identity: Identity): string =>
  JSON.stringify({
    Code: 'Success',
    LastUpdated: new Date().toISOString(),
    Type: 'AWS-HMAC',
    AccessKeyId: identity.accessKeyId,
    SecretAccessKey: identity.secretAccessKey,
    Token: identity.sessionToken,
    Expiration: identity.expires,
  });
