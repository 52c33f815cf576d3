/** How this machine reaches AWS: the proxies to use and the certificate authorities to trust. */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import { asError, SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';

/** Plain data, so that it can be passed to other processes of this program. */
export interface Network {
  proxies: { HTTP_PROXY?: string; HTTPS_PROXY?: string; NO_PROXY?: string };
  /** The certificate authorities to trust, in PEM format; `null` selects the ones that Node trusts. */
  authorities: string | null;
}

/**
 * Reads `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` and `AWS_CA_BUNDLE`, in upper or lower case, as the AWS CLI does.
 * @param bundle path of the CA bundle that the profile names. `AWS_CA_BUNDLE` takes precedence.
 * @throws SnapError `USAGE` if a proxy is invalid or the certificates cannot be read.
 */
export function networkOf(env: NodeJS.ProcessEnv, bundle?: string): Network {
  const read = (name: string): string => env[name.toLowerCase()] || env[name] || '';
  const proxies: Network['proxies'] = {};
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY'] as const) {
    const value = read(name);
    if (value !== '') proxies[name] = proxyUrl(name, value);
  }
  const exceptions = read('NO_PROXY');
  if (exceptions !== '') proxies.NO_PROXY = withSubdomains(exceptions);
  return { proxies, authorities: readAuthorities(env['AWS_CA_BUNDLE'] || bundle || null) };
}

/** The message does not repeat the value, because it may contain a password. */
function proxyUrl(name: string, value: string): string {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (url && url.hostname !== '' && ['http:', 'https:'].includes(url.protocol)) return url.href;
  throw new SnapError('USAGE', `${name} is not the URL of an HTTP proxy`, {
    hint: `set ${name} to http://HOST:PORT, or unset it; SOCKS proxies are not supported`,
  });
}

/** In curl and the AWS CLI, a name also covers its subdomains. Node requires a leading dot for that. */
const withSubdomains = (list: string): string =>
  list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .flatMap((entry) => (/^$|^[.*]|[:-].*\d/.test(entry) || isIP(entry) !== 0 ? [entry] : [entry, `.${entry}`]))
    .filter((entry) => entry !== '')
    .join(',');

function readAuthorities(path: string | null): string | null {
  if (path === null) return null;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    throw new Error('it contains no certificate');
  } catch (cause) {
    throw new SnapError('USAGE', `cannot use the CA bundle ${path}: ${asError(cause).message}`, {
      hint: 'set AWS_CA_BUNDLE, or ca_bundle in the profile, to a file of certificates in PEM format',
      cause,
    });
  }
}

const CONNECT_TIMEOUT_SECONDS = 5;

/**
 * The settings of the connections of a client. Their number is not limited: the code that starts requests limits them,
 * and a request that waits for a free connection would use up its connection timeout.
 *
 * One timeout guards all bodies in both directions: it ends a connection without traffic, whether a request is being
 * sent, a response is awaited, or its body is being read.
 * @param silence seconds without a byte.
 */
export function requestHandling({ proxies, authorities }: Network, silence: number) {
  const options = { keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY, proxyEnv: proxies };
  return {
    connectionTimeout: seconds(CONNECT_TIMEOUT_SECONDS),
    socketTimeout: seconds(silence),
    httpAgent: new HttpAgent(options),
    httpsAgent: new HttpsAgent({ ...options, ...(authorities === null ? {} : { ca: authorities }) }),
  };
}
