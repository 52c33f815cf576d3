/**
 * Reads where a member has data: sparse files start with a map of their segments. Source: "Storing Sparse Files" of the
 * GNU tar manual.
 */
import type { ByteStream } from '../byte-stream.ts';
import { type ExtendedHeaders, MAX_EXTENDED_BYTES } from './extended-headers.ts';
import { TAR_BLOCK } from './tar-fields.ts';
import { type DataSegment, TarError, type TarMember } from './tar-member.ts';

/** Sets size and segments of a member. @returns the bytes of the stream that contained the map */
export function readSegments(member: TarMember, { own }: ExtendedHeaders, stored: number, stream: ByteStream): number {
  if (!Number.isSafeInteger(stored) || stored < 0)
    throw new TarError(`a member has an invalid size of ${stored} bytes`);
  const major = own.get('GNU.sparse.major')?.toString();
  if (major === undefined) {
    if ([...own.keys()].some((name) => name.startsWith('GNU.sparse.')))
      throw new TarError('the tar has an old, unsupported sparse format');
    member.size = BigInt(stored);
    member.segments = [{ offset: 0n, length: stored }];
    return 0;
  }
  if (major !== '1') throw new TarError(`the tar has the unsupported sparse format ${major}`);
  const size = fileSize(own.get('GNU.sparse.realsize')?.toString() ?? '');
  const { segments, mapBytes } = readMap(stream, stored);
  checkSegments(segments, size, stored - mapBytes);
  member.size = size;
  member.isSparse = true;
  member.segments = segments;
  return mapBytes;
}

/** The maximum size of a file. */
const MAX_FILE_BYTES = 2n ** 63n - 1n;

function fileSize(text: string): bigint {
  const size = /^\d{1,19}$/.test(text) ? BigInt(text) : null;
  if (size === null || size > MAX_FILE_BYTES)
    throw new TarError(`a file has an invalid size of ${JSON.stringify(text)} bytes`);
  return size;
}

/** Maximum digits of a number in a map of holes. */
const MAX_DIGITS = 19;

/**
 * A map has one decimal number per line, in whole blocks: the number of segments, then the offset and length of each.
 */
function readMap(stream: ByteStream, stored: number): { segments: DataSegment[]; mapBytes: number } {
  const numbers: bigint[] = [];
  let rest = '';
  let mapBytes = 0;
  while (numbers.length === 0 || numbers.length < 1 + 2 * Number(numbers[0] ?? 0)) {
    const isTooLong = mapBytes + TAR_BLOCK > Math.min(stored + TAR_BLOCK, MAX_EXTENDED_BYTES);
    if (isTooLong || rest.length > MAX_DIGITS) throw new TarError('a map of holes is damaged');
    const lines = (rest + stream.take(TAR_BLOCK).toString('latin1')).split('\n');
    mapBytes += TAR_BLOCK;
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!/^\d{1,19}$/.test(line)) throw new TarError('a map of holes is damaged');
      numbers.push(BigInt(line));
    }
  }
  const segments = Array.from({ length: Number(numbers[0] ?? 0) }, (_, at) => ({
    offset: numbers[1 + 2 * at] ?? 0n,
    length: Number(numbers[2 + 2 * at] ?? 0),
  }));
  return { segments, mapBytes };
}

function checkSegments(segments: readonly DataSegment[], size: bigint, stored: number): void {
  let end = 0n;
  let total = 0;
  for (const { offset, length } of segments) {
    if (offset < end) throw new TarError('a map of holes is damaged');
    end = offset + BigInt(length);
    total += length;
  }
  if (!(end <= size) || total !== stored) throw new TarError('a map of holes does not match its file');
}
