/** Creates the SDK clients, with timeouts on every call and one retry layer that reports its retries. */
import { type Network, requestHandling } from './network.ts';
import { ObservedRetryStrategy, type Retry } from './retries.ts';
import { defaultProvider, EBSClient, EC2Client, PricingClient, S3Client, STSClient } from './sdk.ts';

export interface AwsSettings {
  region: string;
  /** Provides the credentials. An empty name selects keys in the environment, even if `AWS_PROFILE` is set. */
  profile?: string;
  /** Endpoint of S3 only, for stores that are compatible with S3. */
  s3Endpoint?: string;
  /** Addresses buckets as `/bucket/key`. Endpoints without wildcard host names need it. */
  forcePathStyle: boolean;
  /**
   * Seconds without a byte in either direction after which a call fails. Part uploads and the completion of an upload
   * get ten times as long.
   */
  callTimeout: number;
  network: Network;
  onRetry: (retry: Retry) => void;
}

/** The kernel may need minutes to send a part on a slow line, and completing an upload takes time, too. */
const TRANSFER_TIMEOUT_FACTOR = 10;

export function ec2Client(settings: AwsSettings): EC2Client {
  return new EC2Client(common(settings));
}

export function stsClient(settings: AwsSettings): STSClient {
  return new STSClient(common(settings));
}

/** AWS has one price list for all regions, and only a few endpoints serve it. */
export function pricingClient(settings: Omit<AwsSettings, 'region'>): PricingClient {
  return new PricingClient(common({ ...settings, region: 'us-east-1' }));
}

/** @param onThrottled is called for each throttled request, before it is sent again. */
export function ebsClient(
  settings: AwsSettings,
  onThrottled: (snapshotId: string, limit: 'snapshot' | 'account') => void,
): EBSClient {
  const client = new EBSClient(common(settings));
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        const { name, Reason } = error as { name?: string; Reason?: string };
        const { SnapshotId = '' } = args.input as { SnapshotId?: string };
        if (/Throttl/.test(name ?? '')) {
          onThrottled(SnapshotId, Reason === 'RESOURCE_LEVEL_THROTTLE' ? 'snapshot' : 'account');
        }
        throw error;
      }
    },
    { step: 'finalizeRequest', name: 'reportThrottling', priority: 'low' },
  );
  return client;
}

/**
 * `Expect: 100-continue` is off: the SDK opens a separate connection for each such request, and that one ignores
 * proxies and certificates.
 * @param use `transfer` for parts and the completion of uploads, `control` for everything else.
 */
export function s3Client(settings: AwsSettings, use: 'control' | 'transfer'): S3Client {
  const client = new S3Client({
    ...common(settings, use === 'control' ? 1 : TRANSFER_TIMEOUT_FACTOR),
    ...(settings.s3Endpoint === undefined ? {} : { endpoint: settings.s3Endpoint }),
    forcePathStyle: settings.forcePathStyle,
    followRegionRedirects: true,
    expectContinueHeader: false,
  });
  skipPartHashing(client);
  recordAnswerTimes(client);
  return client;
}

/** The time of each response by the clock of the service, from its `Date` header. */
const ANSWER_TIME = new WeakMap<object, Date>();

/** When the service gave a response, by its own clock; `null` if the response does not say. */
export const answeredAt = (answer: object): Date | null => ANSWER_TIME.get(answer) ?? null;

function recordAnswerTimes(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { headers } = result.response as { headers?: Record<string, string> };
      const date = new Date(headers?.['date'] ?? '');
      if (!Number.isNaN(date.getTime())) ANSWER_TIME.set(result.output as object, date);
      return result;
    },
    { step: 'deserialize', name: 'recordAnswerTimes', priority: 'high' },
  );
}

function common(settings: AwsSettings, timeoutFactor = 1) {
  const { region, network, callTimeout, onRetry } = settings;
  const profile = settings.profile === undefined ? {} : { profile: settings.profile };
  return {
    region,
    ...profile,
    // Credential services (SSO, STS) are called through the same proxies and with the same timeouts.
    credentials: defaultProvider({
      ...profile,
      clientConfig: { requestHandler: requestHandling(network, callTimeout) },
    }),
    retryStrategy: new ObservedRetryStrategy(onRetry),
    requestHandler: requestHandling(network, callTimeout * timeoutFactor),
  };
}

/**
 * By default the SDK hashes the body of each part with SHA-256, besides its CRC-32. That costs 0.7 CPU seconds per GB
 * and adds nothing to TLS and the checksum that S3 verifies. The SDK itself signs only the headers of streams.
 */
function skipPartHashing(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const request = args.request as { headers?: Record<string, string> };
      if (context.commandName === 'UploadPartCommand' && request.headers) {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(args);
    },
    { step: 'build', name: 'skipPartHashing', priority: 'low' },
  );
}
