/** Reads the charges for EBS snapshots from the rows of a report. */
import { type CellOf, instantOf, numberOf, shown, textOf } from './cell.ts';
import { chargeOf } from './charge.ts';
import type { ColumnLayout } from './columns.ts';

/** The storage of a snapshot in a period. */
export interface Usage {
  tier: 'standard' | 'archive';
  /** The resource id as the report has it, usually an ARN; empty if the report has no resource ids. */
  resource: string;
  region: string;
  account: string;
  currency: string;
  /** GB-months. */
  amount: number;
  /** `null` if the report has no costs. */
  cost: number | null;
  /** Milliseconds since the epoch. */
  start: number;
  end: number;
}

interface Charged {
  /** `null` if the report has no costs, or the cost is malformed. */
  cost: number | null;
  currency: string;
}

/** A row: storage, another charge, or a row that is unclear or malformed, with the reason. */
export type Reading =
  | (Charged & { is: 'storage'; usage: Usage })
  | (Charged & { is: 'other'; what: string })
  | (Charged & { is: 'unclear' | 'broken'; why: string });

/** @returns `null` for rows about instances, volumes or other services. */
export function readRow(cell: CellOf, layout: ColumnLayout): Reading | null {
  const charge = chargeOf(cell, layout);
  if (charge === null) return null;
  const amount = numberOf(cell('amount'));
  const cost = costOf(cell, amount);
  const charged = { cost: Number.isNaN(cost) ? null : cost, currency: textOf(cell('currency')) || 'USD' };
  if (charge.is === 'unclear') return { ...charged, ...charge };
  const kind = adjustmentOf(cell);
  if (kind !== null) return { ...charged, is: 'other', what: kind };
  if (charge.is === 'other') return { ...charged, ...charge };
  const [start, end] = periodOf(cell);
  const why = faultOf(cell, amount, cost, start < end);
  if (why !== null) return { ...charged, is: 'broken', why };
  const resource = textOf(cell('resource'));
  const usage = { tier: charge.tier, resource, region: textOf(cell('region')), account: textOf(cell('account')) };
  return { ...charged, is: 'storage', usage: { ...usage, ...charged, amount, start, end } };
}

function faultOf(cell: CellOf, amount: number, cost: number | null, hasPeriod: boolean): string | null {
  if (Number.isNaN(amount)) return `the amount ${shown(cell('amount'))} is not a number`;
  if (Number.isNaN(cost)) return `the cost ${shown(cell('cost'))} is not a number`;
  return hasPeriod ? null : `${shown(cell('start') ?? cell('interval'))} is not the start of a period`;
}

/** Taxes, credits, discounts, refunds and corrections do not describe stored data. */
function adjustmentOf(cell: CellOf): string | null {
  const lineType = textOf(cell('lineType'));
  if (lineType !== '' && lineType !== 'Usage') return lineType;
  return textOf(cell('chargeClass')) || null;
}

/** The cost with the discounts of the account if the report has them, otherwise without. List prices are not used. */
function costOf(cell: CellOf, amount: number): number | null {
  for (const column of ['netCost', 'cost'] as const) if (textOf(cell(column)) !== '') return numberOf(cell(column));
  for (const column of ['netRate', 'rate'] as const) {
    if (textOf(cell(column)) !== '') return numberOf(cell(column)) * amount;
  }
  return null;
}

function periodOf(cell: CellOf): [number, number] {
  const [start, end] = [instantOf(cell('start')), instantOf(cell('end'))];
  if (!Number.isNaN(start) && !Number.isNaN(end)) return [start, end];
  const [from = '', to = ''] = textOf(cell('interval')).split('/');
  return [instantOf(from), instantOf(to)];
}
