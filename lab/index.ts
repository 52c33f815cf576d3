/**
 * The local cloud: EC2, the EBS direct APIs, S3, STS, the price list and instance metadata on loopback, with real block
 * devices behind them.
 *
 * Its state is in a directory and survives a restart. Several labs with separate directories can run at the same time.
 * All services are used over HTTP. This module only starts and stops the servers.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createControl } from './control/server.ts';
import { Context } from './core/context.ts';
import type { Delays, InstanceIdentity, Service } from './core/contract.ts';
import { type Listening, listen } from './core/http.ts';
import { Identities, type Identity } from './core/identities.ts';
import { leaveDirectory, takeDirectory } from './core/owner.ts';
import { createEbsService } from './ebs/index.ts';
import { createImdsService, type ImdsSettings } from './imds/index.ts';
import { createPricingService } from './pricing/index.ts';
import { createStsService } from './sts/index.ts';

export interface LabOptions {
  /** The state directory. It is created if it does not exist. */
  directory: string;
  region?: string;
  delays?: Partial<Delays>;
  /** The maximum page size of all lists. A small size allows tests of paging with few items. */
  pageSize?: number;
  /** Ports by service (default: any free ports). */
  ports?: Partial<Record<keyof Endpoints, number>>;
  /** Called with a line for each request that was refused or failed. */
  log?: (line: string) => void;
}

export interface Endpoints {
  ec2: string;
  ebs: string;
  s3: string;
  imds: string;
  pricing: string;
  sts: string;
  control: string;
}

export interface Lab extends AsyncDisposable {
  endpoints: Endpoints;
  /** Returns environment variables that make AWS SDKs use this lab, as its administrator or as another identity. */
  environment(identity?: Identity): Record<string, string>;
}

const ACCOUNT = '123456789012';

const NO_DELAYS: Delays = {
  volumeCreating: 0,
  attaching: 0,
  detaching: 0,
  deleting: 0,
  snapshotPending: 0,
  snapshotTimeout: 3_600_000,
  getBlock: 0,
  volumeBytesPerSecond: 0,
  blockTokenLife: 7 * 86_400_000,
  snapshotBlocksPerSecond: 0,
  accountBlocksPerSecond: 0,
  visibility: 0,
  restore: 0,
};

export async function startLab(options: LabOptions): Promise<Lab> {
  const directory = resolve(options.directory);
  mkdirSync(directory, { recursive: true });
  const region = options.region ?? 'us-east-1';
  const identities = new Identities(join(directory, 'identities.json'), ACCOUNT);
  const context = new Context({
    directory,
    region,
    accountId: ACCOUNT,
    instance: instanceIn(region),
    delays: { ...NO_DELAYS, ...options.delays },
    pageSize: options.pageSize,
    identities,
    log: options.log ?? (() => {}),
  });
  takeDirectory(directory);
  const imdsSettings: ImdsSettings = { spotAction: null, roleSeconds: ROLE_SECONDS, role: () => role(imdsSettings) };
  const role = roleOf(identities);
  // The services load large schemas. Loading them concurrently halves the start time.
  const [{ createEc2Service }, { createS3Service }] = await Promise.all([
    import('./ec2/index.ts'),
    import('./s3/index.ts'),
  ]);
  const [ec2, s3] = await Promise.all([createEc2Service(context), createS3Service(context)]);
  const imds = createImdsService(context, imdsSettings);
  const control = createControl({ context, ec2, s3, imds, imdsSettings });
  const servers: Listening[] = [];
  const serve = async (name: keyof Endpoints, handle: Service['handle']) => {
    const server = await listen(handle, options.ports?.[name] ?? 0);
    servers.push(server);
    return server.url;
  };
  const endpoints = {
    ec2: await serve('ec2', ec2.handle),
    ebs: await serve('ebs', createEbsService(context, ec2).handle),
    s3: await serve('s3', s3.handle),
    imds: await serve('imds', imds.handle),
    pricing: await serve('pricing', createPricingService(context).handle),
    sts: await serve('sts', createStsService(context).handle),
    control: await serve('control', control),
  };
  return {
    endpoints,
    environment: (identity = identities.administrator) => environmentOf(endpoints, region, identity),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server.close()));
      await Promise.all([ec2.close(), s3.close()]);
      leaveDirectory(directory);
    },
  };
}

const instanceIn = (region: string): InstanceIdentity => ({
  instanceId: 'i-0123456789abcdef0',
  instanceType: 'm7i.large',
  availabilityZone: `${region}a`,
  region,
  accountId: ACCOUNT,
});

const ROLE_SECONDS = 6 * 3600;

/** Renews the credentials of the role before they expire, like the metadata service. */
function roleOf(identities: Identities): (settings: ImdsSettings) => Identity {
  let current: Identity | null = null;
  return ({ roleSeconds }) => {
    const soon = Date.now() + Math.min(5 * 60_000, roleSeconds * 500);
    const isFresh =
      current?.expires && Date.parse(current.expires) >= soon && current.expires <= inSeconds(roleSeconds);
    if (!current || !isFresh) current = identities.add('instance', ACCOUNT, null, inSeconds(roleSeconds));
    return current;
  };
}

const inSeconds = (count: number): string => new Date(Date.now() + count * 1000).toISOString();

const environmentOf = (endpoints: Endpoints, region: string, identity: Identity): Record<string, string> => ({
  AWS_ENDPOINT_URL_EC2: endpoints.ec2,
  AWS_ENDPOINT_URL_EBS: endpoints.ebs,
  AWS_ENDPOINT_URL_S3: endpoints.s3,
  AWS_ENDPOINT_URL_PRICING: endpoints.pricing,
  AWS_ENDPOINT_URL_STS: endpoints.sts,
  AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoints.imds,
  AWS_REGION: region,
  AWS_DEFAULT_REGION: region,
  AWS_ACCESS_KEY_ID: identity.accessKeyId,
  AWS_SECRET_ACCESS_KEY: identity.secretAccessKey,
  ...(identity.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: identity.sessionToken }),
});
