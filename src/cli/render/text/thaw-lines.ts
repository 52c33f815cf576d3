/** What thawing takes and costs, before anybody says yes. */
import type { SnapEvent } from '../../../events.ts';
import { formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';

type Told<Code extends SnapEvent['code']> = Extract<SnapEvent, { code: Code }>;

export function describeThaw(event: Told<`thaw.${'offered' | 'requested' | 'waiting' | 'finished'}`>): string {
  switch (event.code) {
    case 'thaw.offered':
      return describeOffer(event);
    case 'thaw.requested':
      return describeRequest(event);
    case 'thaw.waiting':
      return `waiting for ${event.objects} of ${event.of} objects to be thawed; Ctrl+C stops the waiting, not the thawing`;
    case 'thaw.finished':
      return `thawed after ${formatDuration(event.seconds)} of waiting`;
  }
}

function describeOffer(event: Told<'thaw.offered'>): string {
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

const describeRequest = ({ key, tier, days, state }: Told<'thaw.requested'>): string =>
  `${STATES[state]} (${tier}, ${days} days): ${key}`;
