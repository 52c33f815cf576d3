/** FUSE messages compared with bytes in the layout of linux/fuse.h. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  attributesContent,
  decodeRequest,
  ERRNO,
  encodeError,
  encodeReply,
  initContent,
  MAX_TRANSFER,
  openContent,
  statisticsContent,
  writtenContent,
} from '../../../src/fuse/protocol.ts';

/** `fuse_in_header`, followed by the body. */
function request(opcode: number, id: bigint, body: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32LE(40 + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(id, 8);
  header.writeBigUInt64LE(1n, 16);
  return Buffer.concat([header, body]);
}

/** `fuse_read_in` and `fuse_write_in` have 40 bytes: handle, offset, length, and fields that are not used here. */
function range(offset: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeBigUInt64LE(1n, 0);
  bytes.writeBigUInt64LE(offset, 8);
  bytes.writeUInt32LE(length, 16);
  return bytes;
}

const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const offset = fc.integer({ min: 0, max: 2 ** 46 });

test('reads and writes are decoded as they were encoded', () => {
  fc.assert(
    fc.property(id, offset, fc.uint8Array({ maxLength: 500 }), (unique, at, data) => {
      const length = data.length;
      const read = decodeRequest(request(15, unique, range(BigInt(at), length)));
      assert.deepEqual(read, { kind: 'read', id: unique, offset: at, length });
      const write = decodeRequest(request(16, unique, Buffer.concat([range(BigInt(at), length), data])));
      assert.deepEqual(write, { kind: 'write', id: unique, offset: at, data: Buffer.from(data) });
    }),
  );
});

test('requests without an answer, requests that are only acknowledged, and unknown requests', () => {
  const none = Buffer.alloc(0);
  for (const opcode of [2, 36, 42]) assert.deepEqual(decodeRequest(request(opcode, 7n, none)), { kind: 'silent' });
  for (const opcode of [18, 20, 25, 34, 38]) {
    assert.deepEqual(decodeRequest(request(opcode, 7n, none)), { kind: 'nothing', id: 7n });
  }
  for (const opcode of [1, 5, 22, 43, 46, 4096]) {
    assert.deepEqual(decodeRequest(request(opcode, 7n, none)), { kind: 'unknown', id: 7n });
  }
});

test('the handshake takes the lesser version, and no flag that the kernel did not offer', () => {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(7, 0);
  body.writeUInt32LE(45, 4);
  body.writeUInt32LE(0xffffffff, 12);
  const asked = decodeRequest(request(26, 1n, body));
  assert.ok(asked.kind === 'init');
  const answer = initContent(asked);
  assert.deepEqual([answer.length, answer.readUInt32LE(0), answer.readUInt32LE(4)], [64, 7, 31]);
  assert.equal(answer.readUInt32LE(20), MAX_TRANSFER);
  assert.equal(initContent({ minor: 23, flags: 0 }).readUInt32LE(4), 23);
  assert.equal(initContent({ minor: 23, flags: 0 }).readUInt32LE(12), 0);
});

test('replies contain their length, the id of the request, and a negative errno', () => {
  const [header, content] = encodeReply(9n, Buffer.alloc(100));
  assert.deepEqual([header.readUInt32LE(0), header.readInt32LE(4), header.readBigUInt64LE(8)], [116, 0, 9n]);
  assert.equal(content.length, 100);
  const error = encodeError(9n, ERRNO.EIO);
  assert.deepEqual([error.readUInt32LE(0), error.readInt32LE(4), error.length], [16, -5, 16]);
});

test('structures have the sizes of version 7.31', () => {
  const sizes = [attributesContent(5), openContent(), writtenContent(3), statisticsContent()].map(
    ({ length }) => length,
  );
  assert.deepEqual(sizes, [104, 16, 8, 80]);
  assert.equal(attributesContent(2 ** 40).readBigUInt64LE(24), 2n ** 40n);
});
