/** Compiles and runs the programs in the documents as written: with the installed package, or those of the lab with its sources. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildDisk } from '../../lab/disks/build.ts';
import { keysIn } from '../support/archives.ts';
import { csv, line, writeBill } from '../support/costs/bills.ts';
import { sampleAnalysis } from '../support/costs/sample-analysis.ts';
import { addSnapshotOf, PLAIN_DISK } from '../support/disks.ts';
import { documentBlocks } from '../support/document-blocks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, labForTest, runProgram, type TestLab, temporaryDirectory } from '../support/lab.ts';
import { build } from '../support/processes/built.ts';
import { COMPILER_OPTIONS } from './compiler-options.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const BLOCKS = documentBlocks().filter(({ kind }) => kind === 'ts');

/** The lab is not part of the library: programs import its sources. */
const OF_LAB = 'lab/README.md';

const programsIn = (path: string): string[] =>
  BLOCKS.filter(({ document }) => document === path).map(({ text }) => text);

/** The number of programs in each document. All of them are run below. */
const RUN = { [OF_LAB]: 1, 'README.md': 1, 'docs/costs/page.md': 1, 'docs/library.md': 2 };

/** Creates a package of a user, in which snap-to-s3 is installed. */
function install(lab: TestLab, built: string): string {
  const directory = join(lab.directory, 'own');
  installInto(directory, built);
  programsIn('docs/library.md').forEach((text, index) => {
    writeFileSync(join(directory, `${index}.mts`), text.replace("'/mnt'", `'${join(lab.directory, 'mnt')}'`));
  });
  return directory;
}

function installInto(directory: string, built: string): void {
  const installed = join(directory, 'node_modules', 'snap-to-s3');
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  symlinkSync(built, join(installed, 'dist'));
}

test('programs in all documents compile', (t) => {
  using built = build();
  const directory = join(temporaryDirectory(t), 'own');
  installInto(directory, built.directory);
  symlinkSync(join(ROOT, 'node_modules', '@types'), join(directory, 'node_modules', '@types'));
  for (const [index, { document: path, text }] of BLOCKS.filter((block) => block.document !== OF_LAB).entries()) {
    // The README shows only an import. As an export, the imported names count as used.
    const used = path === 'README.md' ? text.replace('import', 'export') : text;
    writeFileSync(join(directory, `${path.replaceAll(/\W/g, '-')}-${index}.mts`), used);
  }
  const project = { compilerOptions: COMPILER_OPTIONS, include: ['*.mts'] };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(project));
  const checked = spawnSync('tsc', ['-p', directory], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
});

test('every program is run', () => {
  const found = Object.entries(Object.groupBy(BLOCKS, ({ document }) => document));
  assert.deepEqual(Object.fromEntries(found.map(([document, blocks = []]) => [document, blocks.length])), RUN);
});

test('the program in the README of the lab compiles and runs', async (t) => {
  const directory = temporaryDirectory(t);
  const [text = ''] = programsIn(OF_LAB);
  const program = join(directory, 'program.mts');
  writeFileSync(program, text.replaceAll("'../lab/", `'${join(ROOT, 'lab')}/`));
  const compilerOptions = {
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    noUnusedLocals: true,
    // The imports are absolute here.
    rewriteRelativeImportExtensions: false,
  };
  const project = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: [program] };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(project));
  const checked = spawnSync('tsc', ['-p', directory], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const image = join(directory, 'disk.img');
  await buildDisk({ path: image, ...PLAIN_DISK });
  const done = await runProgram([process.execPath, program, join(directory, 'lab'), image]);
  assert.equal(done.code, 0, done.stderr);
});

test('the imports of the README exist, and the page is rendered from an analysis', async (t) => {
  using built = build();
  const directory = join(temporaryDirectory(t), 'own');
  installInto(directory, built.directory);
  const [readme = '', page = ''] = [...programsIn('README.md'), ...programsIn('docs/costs/page.md')];
  writeFileSync(join(directory, 'readme.mts'), readme.replace('import', 'export'));
  writeFileSync(join(directory, 'page.mts'), page);
  const analysis = join(directory, 'analysis.json');
  writeFileSync(analysis, JSON.stringify(sampleAnalysis({ volumes: 2, snapshots: 3 })));
  const program = `
    import * as imported from './readme.mts';
    import { page } from './page.mts';
    import analysis from './analysis.json' with { type: 'json' };
    console.log(Object.values(imported).map((each) => typeof each).join(), page(analysis).slice(0, 15));`;
  writeFileSync(join(directory, 'run.mts'), program);
  const done = await runProgram([process.execPath, join(directory, 'run.mts')], { env: {} });
  assert.deepEqual([done.code, done.stdout], [0, 'function,function,object <!doctype html>\n'], done.stderr);
});

test('the programs of docs/library.md do what the page says', async (t) => {
  using built = build();
  const lab = await labForTest(t);
  const directory = install(lab, built.directory);
  const runOwn = (index: number, ...argv: string[]) =>
    runProgram([process.execPath, join(directory, `${index}.mts`), ...argv], { env: lab.env });
  const { snapshotId } = await addSnapshotOf(lab);
  const done = await runOwn(0, BUCKET, snapshotId);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /^stored vol-.*\.tar\.lz4: \d+ bytes\nvalidated, 0 differences\n$/);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  assert.ok((await keysIn(lab)).some((key) => key.endsWith('.manifest.json')));
  const refused = await runOwn(0, 'no-such-bucket', snapshotId);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /^BUCKET: /);

  const month = { month: '2026-09', others: 3, snapshots: [line('snap-0123456789abcdef0', 2048)] };
  const bill = writeBill(join(lab.directory, 'bill.csv'), csv('legacy', [month], 'daily'));
  const analyzed = await runOwn(1, bill);
  assert.equal(analyzed.code, 0, analyzed.stderr);
  assert.equal(analyzed.stdout, 'us-west-2: $0.05 per month\n');
});
