/** The checksums of S3, for bytes and for objects that consist of parts. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Crc32cNode, Crc64Nvme } from '@aws-sdk/checksums/crc';
import { decodeCrc32, encodeCrc32, joinCrc32 } from '../../src/lib/bytes/crc32.ts';

export const ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

export interface Checksum {
  algorithm: Algorithm;
  type: ChecksumType;
  /** In Base64. Composite checksums end in `-` and the number of parts. */
  value: string;
}

export const isAlgorithm = (name: string): name is Algorithm => (ALGORITHMS as readonly string[]).includes(name);

export const headerOf = (algorithm: Algorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`;

export interface Running {
  update(chunk: Buffer): void;
  /** @returns the checksum in Base64. */
  digest(): Promise<string>;
}

export function running(algorithm: Algorithm): Running {
  if (algorithm === 'CRC32') {
    let value = 0;
    return {
      update: (chunk) => {
        value = crc32(chunk, value);
      },
      digest: async () => encodeCrc32(value),
    };
  }
  if (algorithm === 'SHA1' || algorithm === 'SHA256') {
    const hash = createHash(algorithm.toLowerCase());
    return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest('base64') };
  }
  const crc = algorithm === 'CRC32C' ? new Crc32cNode() : new Crc64Nvme();
  return {
    update: (chunk) => crc.update(chunk),
    digest: async () => Buffer.from(await crc.digest()).toString('base64'),
  };
}

/** The default checksum type of multipart objects. Source: "Checking object integrity" of the S3 user guide. */
export function defaultType(algorithm: Algorithm): ChecksumType {
  return algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
}

export const allowsType = (algorithm: Algorithm, type: ChecksumType): boolean =>
  algorithm === 'CRC64NVME' ? type === 'FULL_OBJECT' : type === 'COMPOSITE' || algorithm.startsWith('CRC');

export interface PartSum {
  file: string;
  bytes: number;
  /** The part's own checksum in Base64. */
  value: string;
}

/** Computes the checksum of a multipart object. */
export async function joined(algorithm: Algorithm, type: ChecksumType, parts: readonly PartSum[]): Promise<string> {
  if (type === 'COMPOSITE') {
    const sum = running(algorithm);
    for (const { value } of parts) sum.update(Buffer.from(value, 'base64'));
    return `${await sum.digest()}-${parts.length}`;
  }
  if (algorithm === 'CRC32') {
    const whole = parts.map(({ value, bytes }) => ({ value: decodeCrc32(value), bytes })).reduce(joinCrc32);
    return encodeCrc32(whole.value);
  }
  const sum = running(algorithm);
  for (const { file } of parts) for await (const chunk of createReadStream(file)) sum.update(chunk as Buffer);
  return sum.digest();
}

export const checksumHeaders = (checksum: Checksum | null): Record<string, string> =>
  checksum ? { [headerOf(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type } : {};
