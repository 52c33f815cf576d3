/** Reads and writes small XML documents, which are simpler without a schema. */
import { XMLParser } from 'fast-xml-parser';

const XMLNS = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Values become elements, and arrays become repeated elements. `undefined` and `null` are omitted. */
export type XmlValue = string | number | boolean | null | undefined | XmlValue[] | { [name: string]: XmlValue };

export const xmlDocument = (root: string, content: { [name: string]: XmlValue }): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${XMLNS}">${elements(content)}</${root}>`;

const elements = (content: { [name: string]: XmlValue }): string =>
  Object.entries(content)
    .map(([name, value]) => element(name, value))
    .join('');

function element(name: string, value: XmlValue): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map((item) => element(name, item)).join('');
  const inner = typeof value === 'object' ? elements(value) : escapeXml(String(value));
  return `<${name}>${inner}</${name}>`;
}

/** XML 1.0 does not allow most control characters. All except tabs and newlines are written as references. */
export const escapeXml = (text: string): string =>
  text
    .replace(/[<>&"]/g, (character) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[character] ?? '')
    .replace(/(?![\t\n])\p{Cc}/gu, (character) => `&#x${character.charCodeAt(0).toString(16)};`);

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => ['Part', 'Tag', 'Object', 'Rule'].includes(name),
});

/** @returns the content of the root element. */
export function parseXml(body: Buffer, root: string): Record<string, unknown> {
  const document = parser.parse(body.toString('utf8')) as Record<string, unknown>;
  return (document[root] ?? {}) as Record<string, unknown>;
}
