import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newRing, RingReader, RingWriter } from '../../src/lib/shared-ring.ts';

test('whatever goes in comes out', () => {
  const piece = fc.uint8Array({ minLength: 1, maxLength: 5000 });
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 1, max: 3 }), (pieces, ahead) => {
      const ring = newRing();
      const [writer, reader] = [new RingWriter(ring), new RingReader(ring)];
      const out: Buffer[] = [];
      const readOne = () => out.push(Buffer.from(reader.next()));
      // Read by the thread that writes: it must never have to wait.
      for (const [index, bytes] of pieces.entries()) {
        const seen = writer.pass((target) => Buffer.from(bytes).copy(target));
        assert.deepEqual(Buffer.from(seen), Buffer.from(bytes));
        if (index >= ahead - 1) readOne();
      }
      while (out.length < pieces.length) readOne();
      writer.pass(() => 0);
      assert.equal(reader.next().length, 0);
      assert.equal(reader.next().length, 0);
      assert.deepEqual(
        out,
        pieces.map((bytes) => Buffer.from(bytes)),
      );
    }),
  );
});
