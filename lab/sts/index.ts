/** The operation GetCallerIdentity of STS, over the query protocol. BEHAVIOUR.md has the source of each behaviour. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Caller, ConnectionGone, type LabContext, type Service, ServiceError } from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import { sha256 } from '../core/sigv4.ts';
import { escapeXml } from '../s3/xml.ts';

const XMLNS = 'https://sts.amazonaws.com/doc/2011-06-15/';

export function createStsService(context: LabContext): Service {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<string> => {
    const body = await readBody(request);
    const operation = new URLSearchParams(body.toString()).get('Action') ?? '';
    const { caller } = context.authenticate('sts', request, sha256(body));
    await context.admit({ service: 'sts', operation, details: {} }, request, response);
    if (operation !== 'GetCallerIdentity')
      throw new ServiceError('InvalidAction', `Could not find operation ${operation} for version 2011-06-15`);
    return callerDocument(caller);
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, document: string) =>
      void response.writeHead(status, { 'content-type': 'text/xml' }).end(document);
    try {
      send(200, await answer(request, response));
    } catch (error) {
      context.failed('sts', request, error);
      if (error instanceof ConnectionGone) return;
      const known = error instanceof ServiceError ? error : new ServiceError('InternalFailure', String(error), 500);
      send(known.status, errorDocument(known));
    }
  };
  return { name: 'sts', handle, leftovers: async () => [], close: async () => {} };
}

const callerDocument = ({ arn, accountId, accessKeyId }: Caller): string =>
  [
    `<GetCallerIdentityResponse xmlns="${XMLNS}"><GetCallerIdentityResult>`,
    `<Arn>${escapeXml(arn)}</Arn><UserId>${escapeXml(userId(arn, accessKeyId))}</UserId><Account>${accountId}</Account>`,
    '</GetCallerIdentityResult>',
    `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`,
  ].join('');

/** Returns the unique id of a user or of a role session. */
function userId(arn: string, accessKeyId: string): string {
  const unique = accessKeyId.slice(4);
  return arn.includes(':assumed-role/') ? `AROA${unique}:${arn.slice(arn.lastIndexOf('/') + 1)}` : `AIDA${unique}`;
}

const errorDocument = ({ code, message, status }: ServiceError): string =>
  [
    `<ErrorResponse xmlns="${XMLNS}"><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type>`,
    `<Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error>`,
    `<RequestId>${randomUUID()}</RequestId></ErrorResponse>`,
  ].join('');
