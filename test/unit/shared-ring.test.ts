import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newRing, RingReader, RingWriter } from '../../src/compare/shared-ring.ts';

test('whatever goes in comes out, in whatever pieces', () => {
  const piece = fc.uint8Array({ minLength: 1, maxLength: 5000 });
  const sizes = fc.array(fc.integer({ min: 1, max: 7000 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(piece), sizes, (pieces, reads) => {
      const ring = newRing();
      const [writer, reader] = [new RingWriter(ring), new RingReader(ring)];
      const out: Buffer[] = [];
      let turn = 0;
      const readAll = (length: number) => {
        for (let rest = length; rest > 0; ) {
          const target = Buffer.alloc(Math.min(rest, reads[turn++ % reads.length] ?? 1));
          const count = reader.read(target);
          out.push(target.subarray(0, count));
          rest -= count;
        }
      };
      // Read by the thread that writes: it must never have to wait.
      let waiting = 0;
      for (const [index, bytes] of pieces.entries()) {
        const seen = writer.pass((target) => Buffer.from(bytes).copy(target));
        assert.deepEqual(Buffer.from(seen), Buffer.from(bytes));
        waiting += bytes.length;
        if (index % 3 === 2) {
          readAll(waiting);
          waiting = 0;
        }
      }
      readAll(waiting);
      writer.pass(() => 0);
      assert.equal(reader.read(Buffer.alloc(10)), 0);
      assert.equal(reader.read(Buffer.alloc(10)), 0);
      assert.deepEqual(Buffer.concat(out), Buffer.concat(pieces));
    }),
  );
});
