/** How this machine reaches AWS: through which proxies, and whose certificates it trusts. */
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP } from 'node:net';
import { asError, SnapError } from '../../errors.ts';
import { seconds } from '../../lib/clock.ts';

/** Plain data, which other processes of this program are given too. */
export interface Network {
  proxies: { HTTP_PROXY?: string; HTTPS_PROXY?: string; NO_PROXY?: string };
  /** The certificate authorities to trust, as PEM; `null`: those that Node trusts. */
  authorities: string | null;
}

/**
 * Reads `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` and `AWS_CA_BUNDLE`, in capitals or small letters, as the AWS CLI does.
 * @param bundle path of the certificates that the profile names; the environment comes first.
 * @throws SnapError `USAGE` for a proxy that cannot be used, and for certificates that cannot be read.
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

/** The value may hold a password, so that no message repeats it. */
function proxyUrl(name: string, value: string): string {
  const url = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (url && url.hostname !== '' && ['http:', 'https:'].includes(url.protocol)) return url.href;
  throw new SnapError('USAGE', `${name} is not the URL of an HTTP proxy`, {
    hint: `set ${name} to http://HOST:PORT, or unset it; SOCKS proxies are not supported`,
  });
}

/** As curl and the AWS CLI read it, a name stands for its subdomains too; for Node it does only after a dot. */
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

/** Seconds. */
const CONNECT_TIMEOUT_SECONDS = 5;

/**
 * How a client makes its connections. They are as many as there are requests: whoever starts requests limits them, and
 * one that waited for a connection would use up the time that it has for connecting.
 *
 * One guard serves all bodies, in both directions: a connection over which nothing moves is given up, whether a request
 * is being sent, an answer is awaited, or its body is read.
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
