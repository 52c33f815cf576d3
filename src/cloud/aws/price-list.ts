/** Reads the prices of a region with the Price List Query API. */
import type { ListedPrice, PriceLists } from '../ports.ts';
import { translateErrors } from './errors.ts';
import { type PriceFilter, type PricingClient, paginateGetProducts } from './sdk.ts';

const PRODUCTS_PER_PAGE = 100;

/** The families keep the response small: AmazonEC2 has a hundred thousand products per region. */
const PRICED_PRODUCTS: { service: string; family?: string }[] = [
  { service: 'AmazonEC2', family: 'Storage Snapshot' },
  { service: 'AmazonEC2', family: 'EBS direct API Requests' },
  { service: 'AmazonEC2', family: 'Storage' },
  { service: 'AmazonS3' },
  { service: 'AmazonS3GlacierDeepArchive' },
];

export function awsPriceLists(client: PricingClient): PriceLists {
  return {
    ofRegion: async (region, { signal }) => {
      const found: ListedPrice[] = [];
      for (const { service, family } of PRICED_PRODUCTS) {
        const filters = [
          match('regionCode', region),
          ...(family === undefined ? [] : [match('productFamily', family)]),
        ];
        const pages = paginateGetProducts(
          { client, pageSize: PRODUCTS_PER_PAGE },
          { ServiceCode: service, Filters: filters, FormatVersion: 'aws_v1' },
          { abortSignal: signal },
        );
        await translateErrors(`read the prices of ${service} in ${region}`, signal, async () => {
          for await (const page of pages) {
            for (const product of page.PriceList ?? []) found.push(...pricesIn(String(product), service));
          }
        });
      }
      return found;
    },
  };
}

const match = (Field: string, Value: string): PriceFilter => ({ Type: 'TERM_MATCH', Field, Value });

interface ProductDocument {
  product?: { attributes?: { usagetype?: string; operation?: string } };
  terms?: { OnDemand?: Record<string, { priceDimensions?: Record<string, Dimension> }> };
}

interface Dimension {
  unit?: string;
  beginRange?: string;
  pricePerUnit?: { USD?: string };
}

/** Of tiered prices, only the first tier is returned. */
function pricesIn(text: string, service: string): ListedPrice[] {
  const { product, terms } = JSON.parse(text) as ProductDocument;
  const { usagetype: usageType = '', operation = '' } = product?.attributes ?? {};
  const dimensions = Object.values(terms?.OnDemand ?? {}).flatMap((term) => Object.values(term.priceDimensions ?? {}));
  return dimensions.flatMap(({ unit = '', beginRange = '0', pricePerUnit }) => {
    const dollars = Number(pricePerUnit?.USD ?? Number.NaN);
    return Number(beginRange) === 0 && dollars >= 0 ? [{ service, usageType, operation, unit, dollars }] : [];
  });
}
