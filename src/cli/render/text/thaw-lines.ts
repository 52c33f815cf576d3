/** Events of thawing as lines of text. */
import { count, formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';
import type { EventOf, Lines } from './line.ts';

export const THAW_LINES: Lines<EventOf<`thaw.${'offered' | 'requested' | 'waiting' | 'finished'}`>> = {
  'thaw.offered': describeOffer,
  'thaw.requested': (event) => describeRequest(event),
  'thaw.waiting': (event) =>
    `waiting for S3 to thaw ${event.objects} of ${count(event.of, 'object')}; Ctrl+C ends the wait, and S3 continues to thaw`,
  'thaw.finished': (event) => `all objects were thawed after ${formatDuration(event.seconds)}`,
};

/** The tiers with their times and prices, shown before the user confirms. */
function describeOffer(event: EventOf<'thaw.offered'>): string {
  const { objects, bytes, storageClasses, days, tier, offers, priceRegion, priceNote } = event;
  const what = `${count(objects, 'object')} (${formatBytes(bytes)}) in ${storageClasses.join(' and ')}`;
  const lines = offers.map((offer) => {
    const mark = offer.tier === tier ? '>' : ' ';
    return `  ${mark} ${offer.tier.padEnd(9)}  ${offer.takes.padEnd(15)}  ${formatDollars(offer.dollars)}`;
  });
  const head = `${what} must be thawed; list prices of ${priceRegion}, including the copies for ${count(days, 'day')}:`;
  return [head, ...lines, ...(priceNote === null ? [] : [`  (${priceNote})`])].join('\n');
}

const STATES = {
  requested: 'thaw requested',
  ongoing: 'thaw already requested',
  restored: 'already thawed, days extended',
};

const describeRequest = ({ key, tier, days, state }: EventOf<'thaw.requested'>): string =>
  `${STATES[state]} (${tier}, ${count(days, 'day')}): ${key}`;
