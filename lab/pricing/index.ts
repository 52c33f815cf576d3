/** The operation GetProducts of the Price List query API. BEHAVIOUR.md has the source of each behaviour. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectionGone, type LabContext, type Service, ServiceError } from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import { sha256 } from '../core/sigv4.ts';
import { PRODUCTS, type Product, SERVICES } from './catalog.ts';

interface Filter {
  Type?: string;
  Field?: string;
  Value?: string;
}

interface Asked {
  ServiceCode?: string;
  Filters?: Filter[];
  FormatVersion?: string;
  NextToken?: string;
  MaxResults?: number;
}

const LARGEST_PAGE = 100;
const MAX_FILTERS = 50;

export function createPricingService(context: LabContext): Service {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    const target = String(request.headers['x-amz-target'] ?? '');
    const operation = target.replace(/^AWSPriceListService\./, '');
    const { caller } = context.authenticate('pricing', request, sha256(body));
    const asked = JSON.parse(body.toString() || '{}') as Asked;
    await context.admit(
      { service: 'pricing', operation, details: { serviceCode: asked.ServiceCode ?? '' } },
      request,
      response,
    );
    if (operation !== 'GetProducts') throw new ServiceError('UnknownOperationException', `no operation ${operation}`);
    if (!context.allowed(caller, { action: 'pricing:GetProducts', resources: ['*'] })) {
      const text = `User: ${caller.arn} is not authorized to perform: pricing:GetProducts`;
      throw new ServiceError('AccessDeniedException', text, 400);
    }
    sendJson(response, 200, getProducts(asked, context));
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await answer(request, response);
    } catch (error) {
      context.failed('pricing', request, error);
      if (!(error instanceof ConnectionGone)) sendError(response, error);
    }
  };
  return { name: 'pricing', handle, leftovers: async () => [], close: async () => {} };
}

function getProducts(asked: Asked, { pageSize, region }: LabContext): object {
  const { ServiceCode = '', Filters = [], FormatVersion = 'aws_v1', MaxResults = LARGEST_PAGE } = asked;
  if (!SERVICES.has(ServiceCode)) throw new ServiceError('NotFoundException', `Service code ${ServiceCode} not found`);
  if (FormatVersion !== 'aws_v1') throw new ServiceError('InvalidParameterException', 'Invalid format version');
  if (Filters.length > MAX_FILTERS) throw new ServiceError('InvalidParameterException', 'Too many filters');
  if (!(MaxResults >= 1 && MaxResults <= LARGEST_PAGE)) {
    throw new ServiceError('InvalidParameterException', 'MaxResults must be 1 to 100');
  }
  const found = PRODUCTS.filter((product) => product.serviceCode === ServiceCode && Filters.every(keeps(product)));
  const start = asked.NextToken === undefined ? 0 : placeOf(asked.NextToken);
  const end = start + Math.min(MaxResults, pageSize ?? LARGEST_PAGE);
  return {
    FormatVersion,
    PriceList: found.slice(start, end).map((product) => JSON.stringify(documentOf(product, region))),
    ...(end < found.length ? { NextToken: Buffer.from(`place:${end}`).toString('base64url') } : {}),
  };
}

function placeOf(token: string): number {
  const [, place] = /^place:(\d+)$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (place === undefined) throw new ServiceError('InvalidNextTokenException', 'The pagination token is invalid');
  return Number(place);
}

const keeps =
  (product: Product) =>
  ({ Type = '', Field = '', Value = '' }: Filter): boolean => {
    const own = Field === 'productFamily' ? product.family : product.attributes[Field];
    const listed = Value.split(',').includes(own ?? '');
    const verdicts: Record<string, boolean> = {
      TERM_MATCH: own === Value,
      EQUALS: own === Value,
      CONTAINS: own?.includes(Value) ?? false,
      ANY_OF: listed,
      NONE_OF: !listed,
    };
    const verdict = verdicts[Type];
    if (verdict === undefined) throw new ServiceError('InvalidParameterException', `Invalid filter type ${Type}`);
    return verdict;
  };

/** Source: "Reading the service price list file for an AWS service" of the billing user guide. */
function documentOf({ sku, serviceCode, family, attributes, unit, tiers }: Product, region: string): object {
  const rate = `${sku}.JRTCKXETXF`;
  const dimensions = tiers.map(({ from, dollars }, index) => [
    `${rate}.${index}`,
    {
      unit,
      beginRange: String(from),
      endRange: String(tiers[index + 1]?.from ?? 'Inf'),
      description: `$${dollars} per ${unit} in ${region}`,
      appliesTo: [],
      rateCode: `${rate}.${index}`,
      pricePerUnit: { USD: dollars.toFixed(10) },
    },
  ]);
  return {
    product: { productFamily: family, attributes, sku },
    serviceCode,
    terms: {
      OnDemand: {
        [rate]: {
          priceDimensions: Object.fromEntries(dimensions),
          sku,
          effectiveDate: '2026-11-01T00:00:00Z',
          offerTermCode: 'JRTCKXETXF',
          termAttributes: {},
        },
      },
    },
    version: '20261101000000',
    publicationDate: '2026-11-01T00:00:00Z',
  };
}

const sendJson = (response: ServerResponse, status: number, value: object) =>
  void response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(value));

function sendError(response: ServerResponse, error: unknown): void {
  const known = error instanceof ServiceError ? error : new ServiceError('InternalErrorException', String(error), 500);
  sendJson(response, known.status, { __type: known.code, Message: known.message });
}
