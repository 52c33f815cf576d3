/** Runs every command in the README, in docs/ and in the README of the lab as written, in dash and bash, or states the reason why not. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { run } from '../../lab/core/run.ts';
import { buildDisk } from '../../lab/disks/build.ts';
import { withDevice } from '../../lab/disks/mounted.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { keyEnding } from '../support/archives.ts';
import { csv, line, parquet, writeBill } from '../support/costs/bills.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../support/disks.ts';
import { type DocumentedCommand, documentedCommands } from '../support/document-blocks.ts';
import { addKey, gpgHome } from '../support/gpg.ts';
import {
  BUCKET,
  type Finished,
  labForTest,
  PROGRAM,
  recordsOf,
  runMigrate,
  runProgram,
  type TestLab,
} from '../support/lab.ts';

/** Commands that are not run, with the reasons. */
const NOT_RUN: { text: RegExp; why: string }[] = [
  { text: /^npm (run|test)/, why: 'test/bench/bench.test.ts runs the demo; the tests are these' },
  { text: /^git clone/, why: 'there is no public repository yet' },
  { text: /^npm install/, why: 'it would install into this machine, from the network' },
  { text: /^node scripts\/setup\.mjs/, why: 'it runs a test of the suite in the project, with its packages' },
  { text: /snap-to-s3 lab /, why: 'test/lab/lifecycle.test.ts runs them with a lab of its own' },
  { text: /--lock-mode/, why: 'the bucket has no Object Lock: test/migrate/locks.test.ts runs it' },
  { text: /s3:\/\/cost-reports\.example\.com/, why: 'reports in S3 have a layout: test/costs/analyze.test.ts has one' },
];

/** Commands that need the archive of an image. All others use the archive of the disk with two partitions. */
const OF_IMAGES = /--to-(file|device|snapshot)/;

interface Stage {
  lab: TestLab;
  env: Record<string, string>;
  ids: { files: string; image: string; encrypted: string };
  /** Replacements for names in the documents, which are applied in this order. */
  names: [RegExp, string][];
  device: string;
}

const nginx = async (directory: string): Promise<void> => {
  for (const name of ['etc/nginx', 'var/www']) mkdirSync(join(directory, name), { recursive: true });
  writeFileSync(join(directory, 'etc', 'nginx', 'nginx.conf'), 'events {}\n');
  writeFileSync(join(directory, 'var', 'www', 'index.html'), '<!doctype html>\n'.repeat(400_000));
};

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 24, populate: nginx },
    { content: 'ext4' as const, sizeMiB: 16, populate: nginx },
  ],
};

test('commands in the documents do what they say', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const scratch = join(lab.directory, 'device.img');
  await run(['truncate', '--size', '1G', scratch]);
  await withDevice(scratch, null, { readOnly: false }, async (device) => {
    const stage = await setStage(t, lab, device);
    const commands = [...new Map(documentedCommands().map((command) => [command.text, command])).values()];
    assert.ok(commands.length > 40, `${commands.length} commands were found`);
    const unused = NOT_RUN.filter(({ text }) => !commands.some((command) => text.test(command.text)));
    assert.deepEqual(unused, [], 'there are reasons for commands that are not there');
    for (const command of commands) {
      const skip = NOT_RUN.find(({ text }) => text.test(command.text))?.why ?? false;
      await t.test(`${command.document}: ${command.text.split('\n')[0]}`, { skip }, () => runAsWritten(command, stage));
    }
  });
});

/**
 * Runs a command in a directory that it shares with the other commands of its document. A command without shell syntax
 * is run by one shell only.
 */
async function runAsWritten({ document, text }: DocumentedCommand, stage: Stage): Promise<void> {
  const directory = join(stage.lab.directory, 'documents', document.replaceAll(/\W/g, '-'));
  if (!existsSync(directory)) await furnish(directory, stage);
  const command = stage.names
    .reduce((replaced, [name, value]) => replaced.replaceAll(name, value), text)
    .replaceAll(/\bsnap-0[0-9a-f]{16}\b/g, idFor(document, text, stage));
  const isShell = /[|&;<>()]/.test(text.replaceAll(/ #.*$/gm, ''));
  for (const shell of isShell ? ['dash', 'bash'] : ['dash']) {
    for (const made of ['disk.img', 'here', 'beginning.plain'])
      rmSync(join(directory, made), { recursive: true, force: true });
    if (command.includes(stage.device)) await run(['wipefs', '--all', '--quiet', stage.device]);
    const done = await runProgram(['env', '-C', directory, shell, '-c', command], { env: stage.env, input: 'yes\n' });
    const said = `${shell}: ${command}\nexit ${done.code}\n${done.stdout.slice(-2000)}${done.stderr}`;
    assert.ok(done.code === 0 || done.code === 10, said);
    assert.doesNotMatch(done.stderr, /not found|[Ss]yntax error|Illegal|invalid|jq: error|is not a/, said);
    await OUTCOMES[text.split(' ')[0] ?? '']?.({ text, directory, done, stage, said });
  }
}

const idFor = (document: string, text: string, { ids }: Stage): string => {
  if (document === 'docs/encryption.md') return ids.encrypted;
  return OF_IMAGES.test(text) ? ids.image : ids.files;
};

/** A partition table in the output of sfdisk. */
interface Table {
  partitiontable: { partitions: { start: number; uuid: string }[] };
}

interface Outcome {
  text: string;
  directory: string;
  done: Finished;
  stage: Stage;
  said: string;
}

/** Checks of the result, by the first word of a command, where the exit status is not sufficient. */
const OUTCOMES: Record<string, (outcome: Outcome) => Promise<void> | void> = {
  aws: ({ text, directory, said }) => {
    if (!/\| tar -x/.test(text)) return;
    const names = /gpg/.test(text) ? ['etc/hostname'] : ['etc/nginx/nginx.conf', 'var/www/index.html'];
    for (const name of names) assert.ok(existsSync(join(directory, name)), said);
    for (const name of ['etc', 'var']) rmSync(join(directory, name), { recursive: true, force: true });
  },
  jq: async ({ text, stage, directory }) => {
    if (!text.includes('sfdisk')) return;
    const { disk } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as {
      disk: { partitionTable: Table };
    };
    const made = JSON.parse(await run(['sfdisk', '--json', stage.device])) as Table;
    const places = ({ partitiontable: { partitions } }: Table) => partitions.map(({ start, uuid }) => [start, uuid]);
    assert.deepEqual(places(made), places(disk.partitionTable));
  },
  '(printf': ({ done, said }) => assert.match(done.stdout, /<!doctype html>|nginx/, said),
  head: ({ done, directory, said }) => {
    const key = /session key: '([0-9A-F:]+)'/.exec(done.stdout)?.[1];
    assert.ok(key, said);
    writeFileSync(join(directory, 'key.txt'), `${key}\n`);
  },
};

/** Creates the files that commands name. */
async function furnish(directory: string, { lab, ids }: Stage): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const billed = (id: string) => ({ month: '2026-10', others: 3, snapshots: [line(id, 2048)] });
  for (const [name, id] of [
    ['costreport-00001.csv.gz', ids.files],
    ['report-00001.csv.gz', ids.files],
    ['report-00002.csv.gz', ids.image],
  ] as const)
    writeFileSync(join(directory, name), gzipSync(csv('legacy', [billed(id)], 'daily')));
  writeBill(join(directory, 'report.parquet'), parquet('cur2', billed(ids.files), 'daily'));
  copyFileSync(join(lab.directory, 'manifest.json'), join(directory, 'manifest.json'));
}

async function setStage(t: TestContext, lab: TestLab, device: string): Promise<Stage> {
  const home = await gpgHome(t);
  await addKey(home, 'ops@example.com');
  const env: Record<string, string> = { ...lab.env, GNUPGHOME: home };
  const image = join(lab.directory, 'two.img');
  await buildDisk({ path: image, ...DISK });
  const files = (await addSnapshotOfImage(lab, image)).snapshotId;
  const [whole, encrypted, both] = [await addSnapshotOf(lab), await addSnapshotOf(lab), await addSnapshotOf(lab)];
  const point = await addSnapshotOf(lab);
  const gpg = ['--compression', 'zstd', '--gpg-recipient', 'ops@example.com'];
  const manifests: string[] = [];
  for (const [id, ...flags] of [
    [files],
    [whole.snapshotId, '--dd'],
    [encrypted.snapshotId, ...gpg],
    [both.snapshotId, '--dd', ...gpg],
    [point.snapshotId, '--incremental', '--source', 'direct'],
  ] as [string, ...string[]][]) {
    const done = await runMigrate(lab, ['--snapshots', id, '--json', ...flags], { env });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    manifests.push(String(recordsOf(done).find(({ code }) => code === 'manifest.stored')?.['key']));
  }
  await lab.control.addBucket('backups.example.com');
  await fetch(lab, manifests[0] ?? '', join(lab.directory, 'manifest.json'));
  const [, first, second] = await piecesOf(lab, `${files}.1.index.zst`);
  assert.ok(first && second, 'the index has no three pieces');
  const [frame, next] = await placesIn(lab, `.blocks.zst`);
  const programs = join(lab.directory, 'bin');
  mkdirSync(programs);
  // This version of the AWS CLI does not read endpoints from the environment.
  const endpoint = 'case $1 in ec2) url=$AWS_ENDPOINT_URL_EC2;; *) url=$AWS_ENDPOINT_URL_S3;; esac';
  script(programs, 'aws', `${endpoint}\nexec /usr/bin/aws --endpoint-url "$url" "$@"`);
  script(programs, 'snap-to-s3', `exec ${[process.execPath, ...NODE_FLAGS, PROGRAM].join(' ')} "$@"`);
  script(programs, 'sudo', 'exec "$@"');
  script(programs, 'mail', 'exit 1');
  const key = async (ending: string) => `${BUCKET}/${await keyEnding(lab, ending)}`;
  return {
    lab,
    device,
    env: { ...env, PATH: `${programs}:${env['PATH']}`, LC_ALL: 'C' },
    ids: { files, image: whole.snapshotId, encrypted: encrypted.snapshotId },
    names: [
      [/BUCKET\/KEY\.tar\.lz4/g, await key(`${files}.1.tar.lz4`)],
      [/BUCKET\/KEY\.tar\.zst\.gpg/g, await key('.tar.zst.gpg')],
      [/BUCKET\/KEY\.img\.lz4/g, await key('.img.lz4')],
      [/BUCKET\/KEY\.img\.zst\.gpg/g, await key('.img.zst.gpg')],
      [/ KEY\.1\.tar\.lz4/g, ` '${await keyEnding(lab, `${files}.1.tar.lz4`)}'`],
      [/"KEY"/g, `"${await keyEnding(lab, '.tar.zst.gpg')}"`],
      [/BUCKET\/KEY\.1a2b3c4d\.map\.zst/g, await key('.map.zst')],
      [/ KEY\.1a2b3c4d\.pack\.0001\.lz4/g, ` '${await keyEnding(lab, '.pack.0001.lz4')}'`],
      [/bytes=A-B/g, `bytes=${frame}-${(next ?? 0) - 1}`],
      [/\bBUCKET\b/g, BUCKET],
      [/bytes=S-E/g, `bytes=${first.stored}-${second.stored - 1}`],
      [/\/dev\/(DEVICE|nvme\dn1)/g, device],
      [/--to-device \S+/g, `$& --yes`],
      [/\/mnt\/scratch/g, join(lab.directory, 'tmp')],
      [/\/mnt\/new/g, join(lab.directory, 'new')],
      [/\/var\/log\//g, `${lab.directory}/`],
      [/eu-west-1/g, 'us-east-1'],
    ],
  };
}

function script(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** Returns the places of the blocks in a block list. */
async function placesIn(lab: TestLab, ending: string): Promise<number[]> {
  const file = join(lab.directory, 'blocks.zst');
  await fetch(lab, await keyEnding(lab, ending), file);
  return (await run(['zstd', '-dc', file]))
    .trim()
    .split('\n')
    .flatMap((text) => (JSON.parse(text) as { at?: number }).at ?? []);
}

/** Returns the pieces of an image. Those after the first do not begin with the magic number of a frame. */
async function piecesOf(lab: TestLab, ending: string): Promise<{ stored: number }[]> {
  const file = join(lab.directory, 'index.zst');
  await fetch(lab, await keyEnding(lab, ending), file);
  return (await run(['zstd', '-dc', file]))
    .trim()
    .split('\n')
    .flatMap((text) => (JSON.parse(text) as { piece?: { stored: number } }).piece ?? []);
}

async function fetch(lab: TestLab, key: string, file: string): Promise<void> {
  const argv = ['/usr/bin/aws', '--endpoint-url', lab.lab.endpoints.s3, 's3', 'cp', `s3://${BUCKET}/${key}`, file];
  const done = await runProgram(argv, { env: lab.env });
  assert.equal(done.code, 0, done.stderr);
}
