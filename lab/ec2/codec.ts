/**
 * Implements the EC2 query protocol with the operation schemas of the SDK. It converts forms to inputs, and outputs to
 * XML.
 * Source: "Smithy AWS EC2 query protocol".
 */
import { XmlShapeSerializer } from '@aws-sdk/core/protocols';
import { NormalizedSchema } from '@smithy/core/schema';
import type { StaticOperationSchema } from '@smithy/types';

const XMLNS = 'http://ec2.amazonaws.com/doc/2016-11-15/';

/** A node in the tree of the dotted names of a form. `value` is the value of the name that ends at this node. */
interface Node {
  value?: string;
  members: Map<string, Node>;
}

/** Decodes the input of an operation from the body of its request. */
export function decodeInput(operation: StaticOperationSchema, form: URLSearchParams): Record<string, unknown> {
  const root: Node = { members: new Map() };
  for (const [name, value] of form) nodeAt(root, name.split('.')).value = value;
  return (decode(NormalizedSchema.of(operation[4]), root) ?? {}) as Record<string, unknown>;
}

function nodeAt(root: Node, path: readonly string[]): Node {
  let node = root;
  for (const step of path) {
    const next = node.members.get(step) ?? { members: new Map() };
    node.members.set(step, next);
    node = next;
  }
  return node;
}

function decode(schema: NormalizedSchema, node: Node | undefined): unknown {
  if (!node) return undefined;
  if (schema.isListSchema()) return decodeList(schema, node);
  if (schema.isStructSchema()) return decodeStructure(schema, node);
  const text = node.value;
  if (text === undefined) return undefined;
  if (schema.isBooleanSchema()) return text === 'true';
  if (schema.isNumericSchema()) return Number(text);
  return schema.isTimestampSchema() ? new Date(text) : text;
}

const decodeList = (schema: NormalizedSchema, node: Node): unknown[] =>
  [...node.members]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, member]) => decode(schema.getValueSchema(), member));

function decodeStructure(schema: NormalizedSchema, node: Node): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, member] of schema.structIterator()) {
    const traits = member.getMergedTraits() as { ec2QueryName?: string; xmlName?: string };
    const value = decode(member, node.members.get(traits.ec2QueryName ?? capitalized(traits.xmlName ?? name)));
    if (value !== undefined) result[name] = value;
  }
  return result;
}

const capitalized = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

const DATE_TIME = 5;

/** Encodes the response of an operation. */
export function encodeOutput(operation: StaticOperationSchema, output: unknown, requestId: string): string {
  const name = `${operation[2]}Response`;
  const inner = innerXml(operation, output);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="${XMLNS}"><requestId>${requestId}</requestId>${inner}</${name}>`;
}

function innerXml(operation: StaticOperationSchema, output: unknown): string {
  const schema = NormalizedSchema.of(operation[5]);
  if (!schema.isStructSchema()) return '';
  const serializer = new XmlShapeSerializer({
    xmlNamespace: XMLNS,
    serviceNamespace: 'com.amazonaws.ec2',
    timestampFormat: { useTrait: true, default: DATE_TIME },
    httpBindings: false,
  });
  serializer.setSerdeContext({ base64Encoder: (bytes: Uint8Array) => Buffer.from(bytes).toString('base64') } as never);
  serializer.write(schema, output ?? {});
  const document = String(serializer.flush()).replace(/^<\?xml[^>]*\?>/, '');
  const root = /^<[^>]*?(\/?)>/.exec(document);
  return root?.[1] === '/' ? '' : document.slice(root?.[0].length ?? 0).replace(/<\/[^>]*>$/, '');
}

export const encodeError = (code: string, message: string, requestId: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error></Errors><RequestID>${requestId}</RequestID></Response>`;

const escapeXml = (text: string): string =>
  text.replace(/[<>&]/g, (character) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;' })[character] ?? '');
