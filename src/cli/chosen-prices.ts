/** The prices that the price flags choose: built in, fetched from AWS, or from a file. */
import { readFileSync } from 'node:fs';
import { priceLists } from '../aws-services.ts';
import type { ListedPrice } from '../cloud/ports.ts';
import { BUILT_IN } from '../costs/built-in-prices.ts';
import { pricesFromFile } from '../costs/price-file.ts';
import { refreshedPrices } from '../costs/price-list.ts';
import type { Prices } from '../costs/price-types.ts';
import { SnapError } from '../errors.ts';
import type { Host } from '../events.ts';
import { now } from '../lib/clock.ts';
import type { CliContext } from './context.ts';
import type { PriceFlags } from './price-flags.ts';

/**
 * The rates of `--prices` override those of `--refresh-prices`, which override the built-in ones.
 * @param regions the regions whose prices `--refresh-prices` fetches; they need not be in the built-in table.
 * @throws SnapError `USAGE` if the file of `--prices` cannot be read or is invalid; the errors of calls to AWS.
 */
export async function pricesOf(
  flags: PriceFlags,
  regions: readonly string[],
  host: Host,
  context: Pick<CliContext, 'process' | 'signal'>,
): Promise<Prices> {
  const own = flags.prices === undefined ? null : { text: readPrices(flags.prices), name: flags.prices };
  // The file is checked before the first call, so that its errors are reported early.
  if (own) pricesFromFile(own.text, own.name);
  const listed = flags.refreshPrices ? await refreshed(flags, regions, host, context) : BUILT_IN;
  return own ? pricesFromFile(own.text, own.name, listed) : listed;
}

async function refreshed(
  flags: PriceFlags,
  regions: readonly string[],
  host: Host,
  { process, signal }: Pick<CliContext, 'process' | 'signal'>,
): Promise<Prices> {
  const lists = await priceLists(flags, process.env, (retry) =>
    host.notify({ code: 'call.retried', service: 'Pricing', ...retry }),
  );
  const listed = new Map<string, ListedPrice[]>();
  for (const region of new Set(regions)) listed.set(region, await lists.ofRegion(region, { signal }));
  return refreshedPrices(listed, now().toISOString().slice(0, 10), BUILT_IN);
}

function readPrices(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SnapError('USAGE', `cannot read ${path}: ${(cause as Error).message}`, {
      hint: 'specify an existing JSON file with --prices',
      cause,
    });
  }
}
