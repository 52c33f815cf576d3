/** What the lines of all events have in common. */
import type { SnapError } from '../../../errors.ts';
import type { SnapEvent } from '../../../events.ts';
import { formatDollars } from '../../../lib/units.ts';

/** The events with this code, or with one of these codes. */
export type EventOf<Code extends SnapEvent['code']> = Extract<SnapEvent, { code: Code }>;

/** For each event, one or more lines without a newline at the end; `null` for an event that is not shown. */
export type Lines<Event extends SnapEvent> = {
  readonly [Code in Event['code']]: (event: EventOf<Code>) => string | null;
};

export const describeError = ({ message, hint }: SnapError): string =>
  `: ${message}${hint === undefined ? '' : `\n  what to do: ${hint}`}`;

export const dollars = (amount: number | null): string => (amount === null ? 'unknown' : formatDollars(amount));
