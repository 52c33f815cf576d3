/** Tags of objects. */
import { ServiceError } from '../core/contract.ts';
import { bucketOf, type Operation, sendEmpty, sendXml, smallBody, versionHeaders } from './exchange.ts';
import { checkTags } from './head-fields.ts';
import { objectOf } from './objects.ts';
import { parseXml } from './xml.ts';

export const getObjectTagging: Operation = (exchange) =>
  sendXml(exchange, 'Tagging', {
    TagSet: { Tag: Object.entries(objectOf(exchange).tags).map(([Key, Value]) => ({ Key, Value })) },
  });

export const putObjectTagging: Operation = async (exchange) => {
  const object = objectOf(exchange);
  const { TagSet } = parseXml(await smallBody(exchange), 'Tagging') as {
    TagSet?: { Tag?: { Key?: string; Value?: string }[] } | '';
  };
  if (TagSet === undefined) throw new ServiceError('MalformedXML', 'The XML you provided was not well-formed');
  const list = TagSet === '' ? [] : (TagSet.Tag ?? []);
  const tags = checkTags(list.map(({ Key = '', Value = '' }) => [Key, Value] as const));
  exchange.store.objects.update(exchange.bucketName, { ...object, tags });
  sendEmpty(exchange, 200, versionHeaders(bucketOf(exchange), object));
};

export const deleteObjectTagging: Operation = (exchange) => {
  const object = objectOf(exchange);
  exchange.store.objects.update(exchange.bucketName, { ...object, tags: {} });
  sendEmpty(exchange, 204, versionHeaders(bucketOf(exchange), object));
};
