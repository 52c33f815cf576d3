/** The SDK clients, set up once: time-outs on every call, one retry layer, and who hears of retries. */
import { type Network, requestHandling } from './network.ts';
import { ObservedRetryStrategy, type Retry } from './retries.ts';
import { defaultProvider, EBSClient, EC2Client, PricingClient, S3Client, STSClient } from './sdk.ts';

export interface AwsSettings {
  region: string;
  profile?: string;
  /** Endpoint of S3 alone, for stores that speak S3's protocol. */
  s3Endpoint?: string;
  /** Addresses buckets as `/bucket/key`, which endpoints without wildcard names need. */
  forcePathStyle: boolean;
  /**
   * Seconds without a byte in either direction after which a call has failed; sending parts and completing an upload
   * get ten times as long.
   */
  callTimeout: number;
  network: Network;
  onRetry: (retry: Retry) => void;
}

/**
 * A part that has been handed over to the kernel may be on its way for minutes on a slow line, and completing an upload
 * takes its time, too.
 */
const TRANSFER_TIMEOUT_FACTOR = 10;

export function ec2Client(settings: AwsSettings): EC2Client {
  return new EC2Client(common(settings));
}

export function stsClient(settings: AwsSettings): STSClient {
  return new STSClient(common(settings));
}

/** There is one price list for all regions, and few endpoints that have it. */
export function pricingClient(settings: Omit<AwsSettings, 'region'>): PricingClient {
  return new PricingClient(common({ ...settings, region: 'us-east-1' }));
}

/** @param onThrottled told of each request that is refused since there are too many, before it is sent again. */
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
 * Nothing asks whether a body may be sent (`Expect: 100-continue`): the SDK opens a connection of its own for each such
 * request, past proxies and certificates.
 * @param use `transfer` for parts and their completion, `control` for all else.
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

/** By the clock of the service, from the `Date` header. */
const ANSWER_TIME = new WeakMap<object, Date>();

/** When the service gave an answer, by its own clock; `null` where it did not say. */
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
    // Those who hand out credentials (SSO, STS) are asked in the same way as everybody else.
    credentials: defaultProvider({
      ...profile,
      clientConfig: { requestHandler: requestHandling(network, callTimeout) },
    }),
    retryStrategy: new ObservedRetryStrategy(onRetry),
    requestHandler: requestHandling(network, callTimeout * timeoutFactor),
  };
}

/**
 * The SDK would hash the body of each part with SHA-256 besides its CRC-32: 0.7 CPU seconds a GB for what TLS and the
 * checksum that S3 verifies already promise. Signing the header alone is what the SDK itself does for streams.
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
