/** What thawing takes and costs, before anybody says yes. */
import type { SnapEvent } from '../../events.ts';
import { formatBytes, formatDollars } from '../../lib/units.ts';

export function describeOffer(event: SnapEvent & { code: 'thaw.offered' }): string {
  const { objects, bytes, storageClasses, days, tier, offers } = event;
  const what = `${objects} ${objects === 1 ? 'object' : 'objects'}, ${formatBytes(bytes)}, in ${storageClasses.join(' and ')}`;
  const lines = offers.map((offer) => {
    const mark = offer.tier === tier ? '>' : ' ';
    return `  ${mark} ${offer.tier.padEnd(9)}  ${offer.takes.padEnd(15)}  ${formatDollars(offer.dollars)}`;
  });
  return [`to be thawed for ${days} days: ${what} (list prices, with the copies):`, ...lines].join('\n');
}

const STATES = {
  requested: 'thawing asked for',
  ongoing: 'being thawed already',
  restored: 'thawed already, and stays so',
};

export const describeRequest = ({ key, tier, days, state }: SnapEvent & { code: 'thaw.requested' }): string =>
  `${STATES[state]} (${tier}, ${days} days): ${key}`;
