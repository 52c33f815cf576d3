/**
 * Finds the columns of a report by name: their order differs between reports, and the set of columns between months.
 * Sources: "Data dictionary" of the AWS Data Exports user guide (CUR, CUR 2.0, FOCUS 1.0 and 1.2 with AWS columns).
 */
import type { ReportFormat } from '../costs/analysis.ts';

/** The columns that are read; all others are ignored. */
export type ColumnName =
  | 'resource'
  | 'usageType'
  | 'operation'
  | 'lineType'
  | 'amount'
  | 'unit'
  | 'start'
  | 'end'
  | 'interval'
  | 'cost'
  | 'rate'
  | 'netCost'
  | 'netRate'
  | 'currency'
  | 'account'
  | 'region'
  | 'description'
  | 'chargeClass'
  | 'service'
  | 'serviceName'
  | 'meter';

/** Names reduced to letters and digits, which are the same for `lineItem/UsageType` and `line_item_usage_type`. */
const CUR: Partial<Record<ColumnName, readonly string[]>> = {
  resource: ['lineitemresourceid'],
  usageType: ['lineitemusagetype'],
  operation: ['lineitemoperation'],
  lineType: ['lineitemlineitemtype'],
  amount: ['lineitemusageamount'],
  start: ['lineitemusagestartdate'],
  end: ['lineitemusageenddate'],
  interval: ['identitytimeinterval'],
  cost: ['lineitemunblendedcost'],
  rate: ['lineitemunblendedrate'],
  netCost: ['lineitemnetunblendedcost'],
  netRate: ['lineitemnetunblendedrate'],
  currency: ['lineitemcurrencycode'],
  account: ['lineitemusageaccountid'],
  region: ['productregioncode', 'productregion'],
  description: ['lineitemlineitemdescription'],
  service: ['lineitemproductcode', 'productservicecode'],
  serviceName: ['productproductname'],
};

const FOCUS: Partial<Record<ColumnName, readonly string[]>> = {
  resource: ['resourceid'],
  usageType: ['xusagetype'],
  operation: ['xoperation'],
  lineType: ['chargecategory'],
  amount: ['consumedquantity', 'pricingquantity'],
  unit: ['consumedunit', 'pricingunit'],
  start: ['chargeperiodstart'],
  end: ['chargeperiodend'],
  cost: ['billedcost', 'effectivecost', 'contractedcost'],
  rate: ['contractedunitprice'],
  currency: ['billingcurrency'],
  account: ['subaccountid'],
  region: ['regionid'],
  description: ['chargedescription'],
  chargeClass: ['chargeclass'],
  service: ['xservicecode'],
  serviceName: ['servicename'],
  meter: ['skumeter'],
};

export interface ColumnLayout {
  format: ReportFormat;
  /** Index of each column that the report has. */
  places: Partial<Record<ColumnName, number>>;
  /** Total number of columns. */
  width: number;
}

/** @returns `null` if the header is not that of a cost report. */
export function columnLayoutOf(header: readonly string[]): ColumnLayout | null {
  const names = header.map((name) => name.toLowerCase().replace(/[^a-z0-9]/g, ''));
  const format = formatOf(header, new Set(names));
  if (format === null) return null;
  const wanted = format.startsWith('focus') ? FOCUS : CUR;
  const places: ColumnLayout['places'] = {};
  for (const [column, candidates] of Object.entries(wanted) as [ColumnName, readonly string[]][]) {
    const place = candidates.map((name) => names.indexOf(name)).find((found) => found >= 0);
    if (place !== undefined) places[column] = place;
  }
  return { format, places, width: header.length };
}

/** A report needs one column of each of these groups. */
const NEEDED: readonly (readonly string[])[] = [
  ['lineitemusageamount', 'consumedquantity', 'pricingquantity'],
  ['lineitemusagestartdate', 'identitytimeinterval', 'chargeperiodstart'],
  ['lineitemusagetype', 'xusagetype', 'lineitemresourceid', 'resourceid'],
];

/** Columns that FOCUS 1.2 has and FOCUS 1.0 does not. */
const SINCE_1_2 = ['invoiceid', 'skumeter', 'billingaccounttype', 'pricingcurrency', 'servicesubcategory'];

function formatOf(header: readonly string[], names: ReadonlySet<string>): ReportFormat | null {
  if (!NEEDED.every((alternatives) => alternatives.some((name) => names.has(name)))) return null;
  if (names.has('chargeperiodstart')) return SINCE_1_2.some((name) => names.has(name)) ? 'focus-1.2' : 'focus-1.0';
  if (header.some((name) => name.includes('/'))) return 'legacy-cur';
  const isSpread = header.some((name) => /^(resource_tags_|product_product_name$)/.test(name));
  return isSpread && !names.has('resourcetags') ? 'legacy-cur' : 'cur-2.0';
}
