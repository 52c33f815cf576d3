/** The commands for gpg, and the checks of its output. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encryptCommand, isMessageStart, lengthProblem } from '../../../src/archive/cipher.ts';
import { checkRecipient, checkSecretKeys } from '../../../src/host/gpg-keys.ts';
import {
  assertNoMachineSettings,
  configurationProblem,
  decryptionOptions,
} from '../../../src/lib/gpg-configuration.ts';
import { encryptBytes } from '../../../src/operations/migrate/object/encrypt.ts';
import { toolEnvironment } from '../../../src/transfer/child-environment.ts';
import { runTool } from '../../../src/transfer/run-tool.ts';
import { addKey, gpgHome } from '../../support/gpg.ts';

const encryption = { recipients: ['ops@example.com'] };
const signal = new AbortController().signal;
const TEXT = Buffer.from('a\r\nb \t \nc\n'.repeat(10_000));

/** Options of gpg.conf that change what `--encrypt` writes or where it writes. */
const CONFIGURATIONS = [
  'textmode',
  'armor',
  'status-fd 1',
  'logger-fd 1',
  'compress-algo bzip2\ncompress-level 9',
  'encrypt-to other@example.com',
  'dry-run',
  'output /dev/null',
  'max-output 100',
  'no-such-option',
  'trust-model nosuch',
  'cipher-algo NOSUCH',
];

test('gpg.conf changes neither what is encrypted nor which keys are found', async (t) => {
  const home = await gpgHome(t);
  for (const name of ['ops@example.com', 'other@example.com']) await addKey(home, name);
  const before = process.env['GNUPGHOME'];
  process.env['GNUPGHOME'] = home;
  t.after(() => {
    if (before === undefined) delete process.env['GNUPGHOME'];
    else process.env['GNUPGHOME'] = before;
  });
  const configuration = join(home, 'gpg.conf');
  for (const text of CONFIGURATIONS) {
    writeFileSync(configuration, `${text}\n`);
    assert.equal(await checkRecipient('ops@example.com', signal), null, text);
    const message = await encryptBytes(encryption, TEXT, signal);
    const argv = ['gpg', '--no-options', '--batch', '--quiet', '--decrypt'];
    const opened = await runTool(argv, { input: message });
    assert.ok(opened.stdoutBytes.equals(TEXT), text);
    const packets = await runTool(['gpg', '--no-options', '--batch', '--list-packets'], { input: message });
    assert.equal(packets.stdout.match(/:pubkey enc packet:/g)?.length, 1, text);
    assert.doesNotMatch(packets.stdout, /:compressed packet:/, text);
  }
  writeFileSync(configuration, 'pinentry-mode nosuch\n');
  const complaint = { code: 'GPG_KEY', message: /cannot use its configuration: invalid pinentry mode 'nosuch'/ };
  await assert.rejects(checkSecretKeys(encryption.recipients, signal), complaint);
  await assert.rejects(checkRecipient('nobody@example.com', signal), { message: /is not in the keyring/ });
});

test('the output of gpg is checked for armor, status lines, missing protection and a wrong length', async (t) => {
  const home = await gpgHome(t);
  await addKey(home, 'ops@example.com');
  const written = async (...more: string[]): Promise<Buffer> => {
    const [gpg = '', ...argv] = encryptCommand(encryption);
    const plain = argv.filter(
      (option) => !['--no-armor', '--no-textmode', '--status-file', '/dev/null'].includes(option),
    );
    const command = [gpg, '--homedir', home, ...more, ...plain];
    return (await runTool(command, { input: TEXT })).stdoutBytes;
  };
  assert.ok(isMessageStart(await written()));
  assert.ok(isMessageStart((await written()).subarray(0, 100)), 'the beginning of the session key');
  assert.ok(!isMessageStart(await written('--armor')));
  assert.ok(!isMessageStart(await written('--status-fd', '1')));
  assert.ok(!isMessageStart(Buffer.alloc(0)));
  assert.ok(!isMessageStart(TEXT));
  // A session key of 3 bytes, then data without integrity protection (tag 9).
  assert.ok(!isMessageStart(Buffer.from([0xc1, 3, 1, 2, 3, 0xc9, 10])));
  assert.ok(isMessageStart(Buffer.from([0xc1, 3, 1, 2, 3, 0xd2, 10])));
  assert.equal(lengthProblem(TEXT.length, (await written()).length, encryption), null);
  assert.match(
    lengthProblem(TEXT.length, (await written('--textmode')).length, encryption) ?? '',
    /gpg wrote \d+ bytes for/,
  );
  assert.match(lengthProblem(TEXT.length, 0, encryption) ?? '', /gpg wrote 0 bytes for \d+/);
});

test('a complaint about the configuration is distinguished from one about a key', () => {
  assert.equal(configurationProblem('gpg: decryption failed: No secret key'), null);
  const said = 'gpg exited 2 (/root/.gnupg/gpg.conf:3: invalid option); lz4 stopped';
  assert.equal(configurationProblem(said), '/root/.gnupg/gpg.conf:3: invalid option');
});

test('decryption uses only settings of gpg.conf that locate keys and passphrases, and names a machine-wide obstacle', async (t) => {
  const home = await gpgHome(t);
  const configuration = join(home, 'gpg.conf');
  const settings = ['# keyring no', 'list-only', '  keyring  "a b.kbx" ', '--try-all-secrets', 'status-fd 1', 'x:y'];
  writeFileSync(configuration, settings.join('\n'));
  const options = ['--no-options', '--keyring', 'a b.kbx', '--try-all-secrets'];
  assert.deepEqual(decryptionOptions({ GNUPGHOME: home }), options);
  const message = `gpg cannot use its configuration: ${configuration}:2: list-only keeps gpg from decrypting`;
  assert.throws(() => assertNoMachineSettings(configuration), { code: 'GPG_KEY', message });
  assert.doesNotThrow(() => assertNoMachineSettings(join(home, 'nothing')));
});

test('tools get only named environment variables', async (t) => {
  const hostile = { TAR_OPTIONS: '--exclude=*', ZSTD_CLEVEL: '19', LZ4_CLEVEL: '12', POSIXLY_CORRECT: '1' };
  const secrets = { AWS_SECRET_ACCESS_KEY: 'x', SNAP_TO_S3_GPG_SESSION_KEY: 'x' };
  const kept = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/bin', HOME: '/root', GNUPGHOME: '/k' };
  const env = {
    ...hostile,
    ...secrets,
    ...kept,
    NODE_OPTIONS: '--require x',
    PERL5OPT: '-Mx',
    LC_ALL: 'de_DE',
    TZ: 'Asia/Tokyo',
  };
  assert.deepEqual(toolEnvironment(env), { ...kept, LC_ALL: 'C', LANGUAGE: '', TZ: 'UTC' });
  process.env['TAR_OPTIONS'] = '--no-such-option';
  t.after(() => delete process.env['TAR_OPTIONS']);
  assert.match((await runTool(['tar', '--version'])).stdout, /GNU tar/);
});
