/** The package is packed, installed in a separate directory as users do, and run from there. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, globSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { VERSION } from '../../src/version.ts';
import { csv, line, writeBill } from '../support/costs/bills.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { build } from '../support/processes/built.ts';
import { COMPILER_OPTIONS } from './compiler-options.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** Limits of everything that is installed. It was 70 MB in 8,383 files when it included other packages. */
const MAX_INSTALLED_BYTES = 15_000_000;
const MAX_INSTALLED_FILES = 500;
const MAX_PACKED_BYTES = 3_000_000;

const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };

/** Packs the existing build, because other tests are running it. @returns the packed file. */
function pack(t: TestContext): string {
  using built = build();
  const directory = temporaryDirectory(t);
  const source = join(directory, 'source');
  cpSync(built.directory, join(source, 'dist'), { recursive: true });
  for (const path of globSync([...PACKAGE.files, 'package.json'], { cwd: ROOT, exclude: ['dist/**', 'dist'] })) {
    mkdirSync(join(source, dirname(path)), { recursive: true });
    cpSync(join(ROOT, path), join(source, path), { recursive: true });
  }
  const argv = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const [{ filename }] = JSON.parse(execFileSync('npm', argv, { cwd: source, encoding: 'utf8' })) as [
    { filename: string },
  ];
  return join(directory, filename);
}

/** The package contains everything that it needs, so the installation uses no network. */
const OFFLINE = ['--offline', '--no-audit', '--no-fund', '--registry', 'http://127.0.0.1:1/'];

/** @returns the directory with `bin` and `lib`. */
function install(t: TestContext, packed: string): string {
  const prefix = temporaryDirectory(t);
  execFileSync('npm', ['install', '--global', '--prefix', prefix, ...OFFLINE, packed], { stdio: 'pipe' });
  return prefix;
}

/** @returns the bytes and the number of files below a directory. */
function measure(directory: string): { bytes: number; files: number } {
  const files = globSync('**', { cwd: directory })
    .map((path) => lstatSync(join(directory, path)))
    .filter((found) => !found.isDirectory());
  return { bytes: files.reduce((total, { size }) => total + size, 0), files: files.length };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

test('the package is small and complete, and runs without other packages', async (t) => {
  const packed = pack(t);
  const prefix = install(t, packed);
  const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, HOME: temporaryDirectory(t) };
  const program = join(prefix, 'bin', 'snap-to-s3');

  await t.test('packed and installed sizes', (inner) => {
    const packedBytes = lstatSync(packed).size;
    const { bytes, files } = measure(join(prefix, 'lib'));
    inner.diagnostic(`packed ${megabytes(packedBytes)}, installed ${megabytes(bytes)} in ${files} files`);
    assert.ok(packedBytes <= MAX_PACKED_BYTES, `${packedBytes} bytes packed`);
    assert.ok(bytes <= MAX_INSTALLED_BYTES, `${bytes} bytes installed`);
    assert.ok(files <= MAX_INSTALLED_FILES, `${files} files installed`);
  });

  await t.test('the program, and its page', async () => {
    const version = await runProgram([program, '--version'], { env });
    assert.deepEqual([version.code, version.stdout], [0, `${VERSION}\n`], version.stderr);
    const month = { month: '2026-09', others: 3, snapshots: [line('snap-0123456789abcdef0', 2048)] };
    const bill = writeBill(join(env.HOME, 'bill.csv'), csv('legacy', [month], 'daily'));
    const page = join(env.HOME, 'page.html');
    const analyzed = await runProgram([program, 'analyze', bill, '--offline', '--html', page], { env });
    assert.equal(analyzed.code, 0, analyzed.stderr);
    assert.match(readFileSync(page, 'utf8'), /<script>.*Chart\.js v4.*<\/script>/s);
  });

  await t.test('the lab', async (inner) => {
    const lab = (...argv: string[]) =>
      runProgram([program, 'lab', ...argv, '--directory', join(env.HOME, 'lab')], { env });
    inner.after(() => lab('down'));
    const up = await lab('up');
    assert.equal(up.code, 0, up.stdout + up.stderr);
    const bucket = await lab('bucket', 'backups');
    assert.equal(bucket.stdout, 'backups\n', bucket.stderr);
    const variables = Object.fromEntries(
      [...(await lab('env')).stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    );
    const listed = await runProgram([program, 'list', '--bucket', 'backups'], { env: { ...env, ...variables } });
    assert.equal(listed.code, EXIT.nothingToDo, listed.stdout + listed.stderr);
  });

  await t.test('the library, with its types', async () => {
    const project = temporaryDirectory(t);
    mkdirSync(join(project, 'node_modules'));
    symlinkSync(join(prefix, 'lib', 'node_modules', 'snap-to-s3'), join(project, 'node_modules', 'snap-to-s3'));
    symlinkSync(join(ROOT, 'node_modules', '@types'), join(project, 'node_modules', '@types'));
    symlinkSync(join(ROOT, 'node_modules', 'undici-types'), join(project, 'node_modules', 'undici-types'));
    writeFileSync(join(project, 'own.mts'), OWN_PROGRAM);
    // Without skipLibCheck, the declarations of the package are checked, too.
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...COMPILER_OPTIONS, skipLibCheck: false }, include: ['*.mts'] }),
    );
    const checked = spawnSync('tsc', ['-p', project], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    const done = await runProgram([process.execPath, join(project, 'own.mts')], { env });
    assert.deepEqual([done.code, done.stdout], [0, `${VERSION} tar USAGE true\n`], done.stderr);
  });

  await t.test('licenses of everything that is bundled', () => {
    const licenses = readFileSync(join(prefix, 'lib/node_modules/snap-to-s3/dist/LICENSES'), 'utf8');
    for (const name of [
      '@aws-sdk/client-ec2',
      '@smithy/core',
      'chart.js',
      '@kurkle/color',
      'commander',
      'fast-xml-parser',
    ])
      assert.match(licenses, new RegExp(`^(.*, )?${name}(, .*)?:$`, 'm'), name);
  });
});

/** A program that uses values and types of the library. */
const OWN_PROGRAM = `
import { type Analysis, BUILT_IN_PRICES, type ErrorCode, parseKey, SnapError, VERSION } from 'snap-to-s3';

const layout = parseKey('vol-0123456789abcdef0/2026-11-01T00:00:00+00:00 snap-0123456789abcdef0.tar.lz4')?.layout;
const code: ErrorCode = new SnapError('USAGE', 'a message').code;
const { regions }: Pick<Analysis, 'regions'> = { regions: [] };
console.log(VERSION, layout, code, regions.length + Object.keys(BUILT_IN_PRICES.regions).length > 0);
`;
