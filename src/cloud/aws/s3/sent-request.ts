/** The requests of the SDK, so that they can be repeated for other keys. */
import { type GetObjectCommand, getSmithyContext, HttpRequest, type S3Client } from '../sdk.ts';

/** A signed request of the SDK. */
export interface SentRequest {
  request: HttpRequest;
  /** The scheme of the signature, such as `aws.auth#sigv4`. */
  scheme: string;
  region: string;
  service: string;
}

/** @returns a function that returns the last request of the command; `null` if there was none. */
export function recordRequest(command: GetObjectCommand): () => SentRequest | null {
  let sent: SentRequest | null = null;
  command.middlewareStack.add(
    (next, context) => (args) => {
      const { selectedHttpAuthScheme } = getSmithyContext(context) as SigningContext;
      const { schemeId = '', signingProperties = {} } = selectedHttpAuthScheme?.httpAuthOption ?? {};
      const { signingRegion = '', signingName = '' } = signingProperties;
      if (HttpRequest.isInstance(args.request)) {
        sent = { request: args.request, scheme: schemeId, region: signingRegion, service: signingName };
      }
      return next(args);
    },
    { step: 'deserialize', name: 'recordRequest', priority: 'high' },
  );
  return () => sent;
}

/** What the SDK notes about the signature of a request. */
interface SigningContext {
  selectedHttpAuthScheme?: {
    httpAuthOption: { schemeId: string; signingProperties?: { signingRegion?: string; signingName?: string } };
  };
}

/** Sends the request for one key. */
export type SendForKey = (
  key: string,
  date: Date,
  abortSignal: AbortSignal,
) => ReturnType<S3Client['config']['requestHandler']['handle']>;

/** Headers that belong to one request or to its signature. The signer sets those that it needs. */
const OF_ONE_REQUEST = /^(amz-sdk-.*|authorization|x-amz-date|x-amz-security-token)$/;

/**
 * Prepares the repetition of a request for other keys, with the same endpoint, region and headers.
 * @param key the key in the request.
 * @returns `null` for requests with another kind of signature, as in directory buckets.
 */
export async function repeatForKeys(sent: SentRequest, key: string, client: S3Client): Promise<SendForKey | null> {
  const { request, region, service } = sent;
  if (sent.scheme !== 'aws.auth#sigv4' || service !== 's3' || !request.path.endsWith(`/${encodeKey(key)}`)) return null;
  const root = request.path.slice(0, -encodeKey(key).length);
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !OF_ONE_REQUEST.test(name)));
  const signer = await client.config.signer({
    name: 'sigv4',
    signingName: service,
    signingRegion: region,
    properties: {},
  });
  return async (other, signingDate, abortSignal) => {
    const unsigned = new HttpRequest({ ...request, path: `${root}${encodeKey(other)}`, headers });
    const signed = await signer.sign(unsigned, { signingDate, signingRegion: region, signingService: service });
    return client.config.requestHandler.handle(signed as HttpRequest, { abortSignal });
  };
}

const encodeKey = (key: string): string =>
  key
    .split('/')
    .map((segment) => encodeURIComponent(segment).replace(/[!'()*]/g, asHex))
    .join('/');

const asHex = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
