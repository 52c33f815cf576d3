/** Any bytes can be converted to text and back without loss. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOfText, textOfBytes } from '../../../src/lib/byte-text.ts';

test('bytes become a text and the same bytes again, also in JSON', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (array) => {
      const bytes = Buffer.from(array);
      const text = JSON.parse(JSON.stringify(textOfBytes(bytes))) as string;
      assert.ok(bytesOfText(text).equals(bytes));
    }),
  );
});

test('valid UTF-8 is decoded as UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(textOfBytes(Buffer.from(text)), text);
      assert.ok(bytesOfText(text).equals(Buffer.from(text)));
    }),
  );
});
