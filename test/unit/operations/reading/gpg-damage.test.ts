/** Missing keys are distinguished from damaged messages, for every bit at the beginning of a message. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createReadStream, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { recipientsOf } from '../../../../src/archive/cipher.ts';
import { SnapError } from '../../../../src/errors.ts';
import { encryptBytes } from '../../../../src/operations/migrate/object/encrypt.ts';
import type { ArchivedObject } from '../../../../src/operations/reading/find-archive.ts';
import { decodeByPrograms } from '../../../../src/operations/reading/object/decoders.ts';
import type { StreamFindings } from '../../../../src/streams/sink-thread.ts';
import { addKey, addLockedKey, gpgHome, importPublicKey, setDialog, signKey } from '../../../support/gpg.ts';
import { temporaryDirectory } from '../../../support/lab.ts';
import { oneIn } from '../../../support/sampled.ts';
import { through } from '../../../support/tamper.ts';

const { signal } = new AbortController();
const PLAIN = randomBytes(4000);
const NAME = 'ops@example.com';

const encrypt = async (home: string): Promise<Buffer> => {
  process.env['GNUPGHOME'] = home;
  return encryptBytes({ recipients: [NAME] }, await through(['lz4', '-c', '-'], PLAIN), signal);
};

/** The outcome is `same`, `damaged`, or the code of an error. */
async function decrypt(
  message: Buffer,
  { home, directory, recipients }: { home: string; directory: string; recipients: string[] },
): Promise<{ outcome: string; ifIntact: string | null }> {
  process.env['GNUPGHOME'] = home;
  const file = join(directory, 'message');
  writeFileSync(file, message);
  const object: ArchivedObject = {
    ...{ key: 'key', partition: null, layout: 'image', codec: 'lz4', cipher: 'gpg', facts: null },
    recipients,
  };
  const chunks: Buffer[] = [];
  const consume = async (descriptor: number): Promise<StreamFindings> => {
    for await (const chunk of createReadStream('', { fd: descriptor })) chunks.push(chunk as Buffer);
    const plainBytes = Buffer.concat(chunks).length;
    const counts = { members: 0, files: 0, contentBytes: 0, differenceCount: 0, differences: [] };
    return { ...counts, plainBytes, plainSha256: '', xattrSum: '' };
  };
  try {
    await using decoder = await decodeByPrograms(object, openSync(file, 'r'), consume, { sessionKey: null, signal });
    const { problem, ifIntact } = await decoder.finished;
    const isSame = Buffer.concat(chunks).equals(PLAIN);
    // A run detects an empty or short stream by the length in the manifest.
    const outcome = problem === null && isSame ? 'same' : 'damaged';
    return { outcome, ifIntact: ifIntact?.code ?? null };
  } catch (error) {
    if (!(error instanceof SnapError)) throw error;
    return { outcome: error.code, ifIntact: null };
  }
}

const BITS = Array.from({ length: 600 * 8 }, (_, bit) => bit);

/** The bits of each field of a message for one recipient (RFC 4880, 5.1 and 5.13). @param end of the session key. */
const fieldsOf = (end: number): Record<string, number[]> =>
  Object.fromEntries(
    Object.entries({
      'tag of the session key': [0, 1],
      'length of the session key': [1, end < 200 ? 2 : 3],
      'version of the session key': [end < 200 ? 2 : 3, end < 200 ? 3 : 4],
      'id of the key': [end < 200 ? 3 : 4, end < 200 ? 11 : 12],
      'algorithm of the key': [end < 200 ? 11 : 12, end < 200 ? 12 : 13],
      'encrypted session key': [end < 200 ? 12 : 13, end],
      'tag and length of the data': [end, end + 2],
      'version of the data': [end + 2, end + 3],
      'beginning of the data': [end + 3, end + 25],
      data: [end + 25, 600],
    }).map(([name, [from = 0, to = 0]]) => [name, BITS.slice(from * 8, to * 8)]),
  );

/** The length of the first packet. The length in its header has one or two bytes. */
const endOfSessionKey = (message: Buffer): number =>
  message[0] === 0x84 ? 2 + message.readUInt8(1) : 3 + message.readUInt16BE(1);

for (const algorithm of ['default', 'future-default']) {
  test(`a flipped bit is reported as damage, not as a missing key (${algorithm})`, async (t) => {
    const home = await keyring(t, algorithm);
    const message = await encrypt(home);
    const reader = { home, directory: temporaryDirectory(t), recipients: recipientsOf(message) };
    assert.equal(reader.recipients.length, 1);
    assert.deepEqual(await decrypt(message, reader), { outcome: 'same', ifIntact: null });
    for (const [field, bits] of Object.entries(fieldsOf(endOfSessionKey(message)))) {
      assert.ok(bits.length > 0, field);
      const cases = bits.map((bit): [string, number] => [`bit ${bit}, ${field}`, bit]);
      for (const [name, bit] of oneIn(Math.ceil(bits.length / 6), cases)) {
        const damaged = Buffer.from(message);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        const { outcome } = await decrypt(damaged, reader);
        // Some flips are harmless: gpg accepts both forms of a header and several versions, and ignores unused bits.
        assert.ok(['damaged', 'same'].includes(outcome), `${name}: ${outcome}`);
        if (/^(id|beginning|data)/.test(field)) assert.equal(outcome, 'damaged', name);
      }
    }
    for (const bytes of [0, 1, 100, 300, message.length - 1])
      assert.equal((await decrypt(message.subarray(0, bytes), reader)).outcome, 'damaged', `${bytes} bytes`);
  });
}

async function keyring(t: TestContext, algorithm: string): Promise<string> {
  const home = await gpgHome(t);
  await addKey(home, NAME, 'never', algorithm);
  return home;
}

test('a key that is missing or cannot be unlocked is not reported as damage', async (t) => {
  const [owner, stranger, archiver, locked] = [
    await keyring(t, 'default'),
    await gpgHome(t),
    await gpgHome(t),
    await gpgHome(t),
  ];
  const directory = temporaryDirectory(t);
  const message = await encrypt(owner);
  const recipients = recipientsOf(message);
  const missing = { outcome: 'GPG_KEY', ifIntact: null };
  assert.deepEqual(await decrypt(message, { home: stranger, directory, recipients }), missing);
  await importPublicKey(owner, NAME, archiver);
  await addKey(archiver, 'archiver@example.com');
  await signKey(archiver, NAME);
  assert.deepEqual(await decrypt(message, { home: archiver, directory, recipients }), missing, 'its public key alone');
  assert.deepEqual(await decrypt(message, { home: stranger, directory, recipients: [] }), missing, 'not known');
  // This happens if, for example, a subkey was replaced after an object was written and before the manifest was.
  const other = { home: stranger, directory, recipients: ['0123456789ABCDEF'] };
  assert.deepEqual(await decrypt(message, other), { outcome: 'damaged', ifIntact: 'GPG_KEY' });
  await addLockedKey(locked, NAME);
  const sealed = await encrypt(locked);
  await setDialog(locked, 'wrong');
  const known = { home: locked, directory, recipients: recipientsOf(sealed) };
  assert.deepEqual(await decrypt(sealed, known), missing, 'a wrong passphrase');
  const nowhere = { home: join(directory, 'nowhere'), directory, recipients };
  assert.deepEqual(await decrypt(message, nowhere), missing, 'no directory of gpg');
});
