/**
 * Writes tar headers in the pax format of GNU tar. All names and attributes are in the extended header, so they are not
 * limited by the fields of the old header. ACLs name users and groups by number.
 */

import { bytesOfText } from '../../lib/byte-text.ts';
import { rightsByNumber } from './acl-text.ts';
import { dataLength } from './member-data.ts';
import { paddingOf, TAR_BLOCK } from './tar-fields.ts';
import { type DataSegment, RIGHTS, type Right, type TarMember, XATTR } from './tar-member.ts';

const ZEROS = Buffer.alloc(2 * TAR_BLOCK);

/** The content of a header. The bytes of `segments` follow the header, then `paddingAfter`. */
export type NewMember = Omit<TarMember, 'hasFraction'>;

const FLAG: Record<TarMember['type'], string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

export function encodeMember(member: NewMember): Buffer {
  const map = member.isSparse ? encodeMap(member.segments) : ZEROS.subarray(0, 0);
  const stored = map.length + dataBytes(member);
  const records = padded(Buffer.concat(recordsOf(member, stored)));
  const name = Buffer.from('member');
  const ahead = encodeHeader({ ...PLAIN, name, flag: 'x', size: recordBytes(records) });
  const own = encodeHeader({
    name,
    flag: FLAG[member.type],
    mode: member.mode,
    size: Math.min(stored, MAX_OCTAL),
    device: member.device,
  });
  return Buffer.concat([ahead, records, own, map]);
}

/** The padding after the bytes that follow the header. */
export const paddingAfter = (member: NewMember): Buffer => ZEROS.subarray(0, paddingOf(dataBytes(member)));

export const TAR_END: Buffer = ZEROS;

const dataBytes = (member: NewMember): number => (member.type === 'file' ? dataLength(member) : 0);

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, ZEROS.subarray(0, paddingOf(bytes.length))]);

/** Length without the padding of zeros. Each record ends with a line feed. */
const recordBytes = (records: Buffer): number => records.lastIndexOf(0x0a) + 1;

function recordsOf(member: NewMember, stored: number): Buffer[] {
  const { type, path, target, size, uid, gid, mtime, xattrs, isSparse } = member;
  const isLink = type === 'symlink' || type === 'hardlink';
  return [
    ...(isSparse
      ? [
          record('GNU.sparse.major', '1'),
          record('GNU.sparse.minor', '0'),
          record('GNU.sparse.name', path),
          record('GNU.sparse.realsize', String(size)),
        ]
      : []),
    record('path', path),
    ...(isLink ? [record('linkpath', target)] : []),
    ...(stored > MAX_OCTAL ? [record('size', String(stored))] : []),
    record('uid', String(uid)),
    record('gid', String(gid)),
    record('mtime', decimalSeconds(mtime)),
    ...[...xattrs].map(([name, value]) => record(`${XATTR}${name}`, value)),
    ...Object.entries(rightsByNumber(member)).map(([right, value]) => record(RIGHTS[right as Right], value)),
  ];
}

/** `<length> <name>=<value>\n`, where the length includes its own digits. */
function record(name: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([bytesOfText(` ${name}=`), Buffer.from(value as Buffer), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

const SECOND = 1_000_000_000n;

/** Formats nanoseconds as seconds with nine decimals. `-1.5` is one and a half seconds before the epoch. */
export function decimalSeconds(nanoseconds: bigint): string {
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  return `${nanoseconds < 0n ? '-' : ''}${size / SECOND}.${String(size % SECOND).padStart(9, '0')}`;
}

/** The number of segments, then the offset and length of each, one number per line. */
const encodeMap = (segments: readonly DataSegment[]): Buffer =>
  padded(
    Buffer.from(
      [segments.length, ...segments.flatMap(({ offset, length }) => [offset, length])]
        .map((number) => `${number}\n`)
        .join(''),
    ),
  );

interface HeaderFields {
  name: Buffer;
  flag: string;
  mode: number;
  size: number;
  device: { major: number; minor: number };
}

const PLAIN = { mode: 0o644, device: { major: 0, minor: 0 } };

/** The largest number with eleven octal digits. Larger sizes are in the extended header. */
const MAX_OCTAL = 0o77777777777;

function encodeHeader({ name, flag, mode, size, device }: HeaderFields): Buffer {
  const header = Buffer.alloc(TAR_BLOCK);
  const octal = (at: number, length: number, value: number) =>
    header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  name.copy(header, 0);
  octal(100, 8, mode);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, size);
  octal(136, 12, 0);
  header.write(flag, 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  octal(329, 8, device.major);
  octal(337, 8, device.minor);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
