/** Trees with more directories and hard links than fit into the memory of a thread. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { indexed } from '../../src/archive/file-index.ts';
import type { TarMember } from '../../src/archive/tar/tar-member.ts';
import { encodeMember } from '../../src/archive/tar/tar-writer.ts';
import { newRing } from '../../src/lib/bytes/shared-ring.ts';
import { programFile } from '../../src/lib/program-file.ts';
import type { ReadingOrder } from '../../src/streams/reading-thread.ts';
import type { SinkAnswer, SinkOrder, SinkThreadOrder } from '../../src/streams/sink-thread.ts';
import { MemberRecordsWriter } from '../../src/streams/tar/member-records.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { fullOr } from '../support/sampled.ts';

/** Heaps are in MiB. The program gives 192 MiB to this thread; sampled runs use a smaller heap instead. */
const DIRECTORIES = fullOr('directories', { count: 2_000_000, heap: 192 }, { count: 60_000, heap: 12 });

/** Files with two names each. */
const LINKED = fullOr('files with two names', { count: 2_500_000, heap: 192 }, { count: 2000, heap: 192 });

/** Runs only the reading thread and the sink thread, which has a heap of `heap` MiB. */
async function compareFile(tar: string, order: SinkOrder, heap: number): Promise<SinkAnswer> {
  const ring = newRing();
  const descriptor = openSync(tar, 'r');
  const compared = new SharedArrayBuffer(4);
  const comparing: SinkThreadOrder = { source: { kind: 'plain', ring }, order, compared, disk: null };
  const reading: ReadingOrder = { descriptor, ring };
  const reader = new Worker(programFile('streams/reading-thread'), { workerData: reading });
  const worker = new Worker(programFile('streams/sink-thread'), {
    workerData: comparing,
    resourceLimits: { maxOldGenerationSizeMb: heap, maxYoungGenerationSizeMb: 1 },
  });
  try {
    return await new Promise<SinkAnswer>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  } finally {
    await Promise.all([reader.terminate(), worker.terminate()]);
    closeSync(descriptor);
  }
}

const BLOCK = 512;

/** Returns the tar header of a directory, with a name and no other properties. */
function directoryHeader(name: string): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 'latin1');
  header.write('0000755\x000000000\x000000000\x0000000000000\x0000000000000\x00        5', 100, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function writeDirectories(t: TestContext, count: number): string {
  const file = join(temporaryDirectory(t), 'tar');
  const descriptor = openSync(file, 'w');
  for (let done = 0; done < count; ) {
    const headers: Buffer[] = [];
    for (; headers.length < 2000; done++)
      headers.push(directoryHeader(`./a-directory-with-a-name-of-some-length-${done}/`));
    writeSync(descriptor, Buffer.concat(headers));
  }
  writeSync(descriptor, Buffer.alloc(2 * BLOCK));
  closeSync(descriptor);
  return file;
}

test(`${DIRECTORIES.count} directories are restored`, async (t) => {
  const { count, heap } = DIRECTORIES;
  const rules = { paths: null, isPrivileged: false, isCaseInsensitive: true, ownNames: [] };
  const descriptor = openSync('/dev/null', 'w');
  const order: SinkOrder = {
    kind: 'files',
    descriptor,
    rules,
    maxBytes: 1,
    cuts: null,
    records: null,
    shortcutPrefix: '',
    times: null,
  };
  const { findings } = await compareFile(writeDirectories(t, count), order, heap);
  closeSync(descriptor);
  assert.deepEqual([findings.differences, findings.members], [[], count]);
});

/** Files in one directory that have second names in another. */
const ALIASES = fullOr('files with second names', { count: 2_000_000, heap: 192 }, { count: 60_000, heap: 12 });

test(`${ALIASES.count} files that were not selected are restored under the selected names of their hard links`, async (t) => {
  const { count, heap } = ALIASES;
  const directory = temporaryDirectory(t);
  const [tar, records, restored] = ['tar', 'records', 'restored'].map((name) => join(directory, name));
  assert.ok(tar && records && restored);
  writeAliased(tar, records, count);
  const descriptor = openSync(restored, 'w');
  const rules = { paths: ['backup.5'], isPrivileged: false, isCaseInsensitive: false, ownNames: [] };
  const target = { rules, maxBytes: 1, cuts: null, records, shortcutPrefix: '', times: null };
  const { findings } = await compareFile(tar, { kind: 'files', descriptor, ...target }, heap);
  closeSync(descriptor);
  assert.deepEqual([findings.differences, findings.members], [[], count]);
  const names = execFileSync('tar', ['--list', '--file', restored], { encoding: 'utf8', maxBuffer: 2 ** 30 });
  const [first, ...others] = names.trim().split('\n');
  assert.deepEqual([first, others.length, others.at(-1)], [nameOf(5, 0), count - 1, nameOf(5, count - 1)]);
});

const nameOf = (copy: number, number: number) => `./backup.${copy}/a-directory-with-a-name-of-some-length/${number}`;

/** Writes a tar of empty files, and the index records of its members. */
function writeAliased(tar: string, records: string, count: number): void {
  using writer = new MemberRecordsWriter(records);
  const descriptor = openSync(tar, 'w');
  for (let number = 0; number < count; number++) {
    const member = { ...EMPTY_FILE, path: Buffer.from(nameOf(0, number)) };
    writeSync(descriptor, encodeMember(member));
    writer.add(indexed(member, NO_DATA, { from: 0, to: 0 }), nameOf(5, number).slice(2));
  }
  writer.finish();
  writeSync(descriptor, Buffer.alloc(2 * BLOCK));
  closeSync(descriptor);
}

/** The hash of no bytes. */
const NO_DATA = createHash('sha256').digest('hex');

const EMPTY_FILE: TarMember = {
  ...{ type: 'file', size: 0n, mode: 0o644, uid: 0, gid: 0, mtime: 1_000_000_000n },
  ...{ target: Buffer.alloc(0), device: { major: 0, minor: 0 }, xattrs: new Map(), rights: {} },
  ...{ path: Buffer.alloc(0), isSparse: false, segments: [], hasFraction: true },
};

function makeLinked(t: TestContext, count: number): string {
  const root = temporaryDirectory(t);
  for (let made = 0, directory = ''; made < count; made++) {
    if (made % 1000 === 0) {
      directory = join(root, String(made));
      mkdirSync(directory);
    }
    writeFileSync(join(directory, `${made}`), '');
    linkSync(join(directory, `${made}`), join(directory, `${made}-too`));
  }
  return root;
}

async function compareLinked(t: TestContext, { count, heap }: typeof LINKED, copies: readonly string[]) {
  const root = makeLinked(t, count);
  const directory = temporaryDirectory(t);
  const tar = join(directory, 'tar');
  execFileSync('tar', ['--format=pax', '-C', root, '-cf', tar, '.']);
  // Append complete copies of files that are hard links on the disk.
  if (copies.length > 0) execFileSync('tar', ['--format=pax', '-C', root, '--hard-dereference', '-rf', tar, ...copies]);
  const key = randomBytes(32);
  const logFile = join(directory, 'log');
  const order = {
    kind: 'tree',
    root,
    contentOnly: false,
    ignore: [],
    syntheticInode: null,
    key,
    logFile,
    mapper: null,
  } as const;
  return (await compareFile(tar, order, heap)).findings;
}

test(`${LINKED.count} files with two names each are compared`, async (t) => {
  const { differences, files } = await compareLinked(t, LINKED, []);
  assert.deepEqual([differences, files], [[], LINKED.count]);
});

test('a file that is a hard link on the disk and a copy in the tar is a difference', async (t) => {
  const { differences } = await compareLinked(t, { count: 10, heap: 192 }, ['./0/9']);
  const found = differences.map(({ kind, path }) => `${kind} ${path}`);
  assert.deepEqual(found, ['duplicate 0/9', 'links 0/9']);
});
