/** Untrusted names in a form that is safe for a terminal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printable } from '../../../src/lib/printable.ts';

test('names of any bytes are shown safely, and different names look different', () => {
  assert.equal(printable('größe/日本 🦊.txt'), 'größe/日本 🦊.txt');
  assert.equal(printable('a\nb\x1b[31m\\'), 'a\\x0ab\\x1b[31m\\\\');
  assert.equal(printable(Buffer.from([0x41, 0xff, 0xc3, 0x42, 0xe2, 0x80])), 'A\\xff\\xc3B\\xe2\\x80');
  assert.equal(printable('\u202etxt.exe'), '\\xe2\\x80\\xaetxt.exe');
  const bytes = fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array));
  const undo = (shown: string): Buffer =>
    Buffer.concat(
      [...shown.matchAll(/\\\\|\\x(..)|[^\\]/gu)].map(([whole, hex]) =>
        hex === undefined ? Buffer.from(whole === '\\\\' ? '\\' : whole) : Buffer.from(hex, 'hex'),
      ),
    );
  fc.assert(
    fc.property(bytes, (name) => {
      const shown = printable(name);
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      assert.deepEqual(undo(shown), name);
    }),
  );
});
