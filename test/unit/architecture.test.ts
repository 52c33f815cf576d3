/** Checks the rules of the code that a program can check. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const sources = (pattern: string) =>
  globSync(pattern, { cwd: root }).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, name = '']) => name);

/** The layers that every folder of `operations` may import. Each of these folders is itself a layer. */
const BELOW_OPERATIONS = [
  'archive',
  'lz4',
  'streams',
  'indexing',
  'transfer',
  'fuse',
  'host',
  'costs',
  'cloud/ports',
  'lib',
];

/** The folders of `operations`, each with the other folders of `operations` that it may import. */
const OPERATIONS: Record<string, readonly string[]> = {
  shared: [],
  sharing: ['shared'],
  thaw: ['shared'],
  reading: ['shared', 'sharing'],
  source: ['shared', 'sharing'],
  marking: ['shared', 'reading'],
  leftovers: ['shared', 'sharing', 'reading'],
  clean: ['shared', 'sharing', 'leftovers'],
  list: ['shared', 'reading'],
  doctor: ['shared', 'sharing', 'leftovers'],
  expire: ['shared', 'sharing', 'reading', 'marking'],
  analyze: ['shared', 'reading'],
  restore: ['shared', 'sharing', 'thaw', 'reading', 'source'],
  verify: ['shared', 'sharing', 'reading', 'source'],
  validate: ['shared', 'sharing', 'thaw', 'reading', 'source', 'marking', 'clean', 'verify'],
  migrate: ['shared', 'sharing', 'reading', 'source', 'clean', 'restore', 'verify', 'validate'],
  drill: ['shared', 'sharing', 'thaw', 'reading', 'restore', 'verify'],
};

const LAYERS: Record<string, readonly string[]> = {
  lib: [],
  'cloud/ports': [],
  'cloud/aws': ['cloud/ports', 'lib'],
  archive: ['cloud/ports', 'lib'],
  costs: ['cloud/ports', 'lib'],
  page: ['costs', 'lib'],
  billing: ['costs', 'lib'],
  lz4: ['lib'],
  streams: ['archive', 'lz4', 'lib'],
  transfer: ['cloud/ports', 'lib'],
  indexing: ['archive', 'lz4', 'lib'],
  'indexing/indexing-process': ['indexing', 'lib'],
  fuse: ['archive', 'lz4', 'transfer', 'cloud/ports', 'lib'],
  'fuse/serving-process': ['fuse', 'transfer', 'cloud/aws', 'cloud/ports'],
  host: ['fuse', 'transfer', 'cloud/ports', 'lib'],
  ...Object.fromEntries(
    Object.entries(OPERATIONS).map(([folder, others]) => [
      `operations/${folder}`,
      [...others.map((other) => `operations/${other}`), ...BELOW_OPERATIONS],
    ]),
  ),
  'operations/analyze': ['operations/shared', 'operations/reading', 'billing', ...BELOW_OPERATIONS],
  'aws-services': ['operations/shared', 'transfer', 'cloud/aws', 'cloud/ports', 'lib'],
  cli: ['aws-services', 'archive', 'transfer', 'costs', 'page', 'cloud/ports', 'lib', 'lab'],
  index: ['aws-services', 'archive', 'costs', 'page', 'cloud/ports'],
  bin: ['cli'],
};

/** Layers above `operations` may import all of its folders. */
for (const layer of ['cli', 'index'])
  LAYERS[layer] = [...(LAYERS[layer] ?? []), ...Object.keys(OPERATIONS).map((folder) => `operations/${folder}`)];

const COMMON = ['errors', 'events', 'version'];

function layerOf(path: string): string {
  const inside = path.replace(/^src\//, '').replace(/\.ts$/, '');
  if (path.startsWith('lab/')) return 'lab';
  if (inside.startsWith('cloud/')) return inside.startsWith('cloud/aws/') ? 'cloud/aws' : 'cloud/ports';
  if (inside.endsWith('-process') && inside in LAYERS) return inside;
  if (inside.startsWith('operations/')) return inside.split('/').slice(0, 2).join('/');
  return inside.split('/')[0] ?? '';
}

test('layers import only downward', () => {
  const wrong = sources('src/**/*.ts').flatMap(({ path, text }) => {
    const layer = layerOf(path);
    const allowed = [...(LAYERS[layer] ?? []), layer, ...COMMON];
    return importsOf(text)
      .filter((name) => name.startsWith('.'))
      .map((name) => normalize(join(dirname(path), name)))
      .filter((target) => !allowed.includes(layerOf(target)))
      .map((target) => `${path} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

/** Imports from and to folders of `operations` are not checked, because they share lists of permitted imports. */
test('every permitted import of a layer is used', () => {
  const imported = sources('src/**/*.ts').flatMap(({ path, text }) =>
    modulesIn(path, text).map((target) => `${layerOf(path)} imports ${layerOf(target)}`),
  );
  const allowed = Object.entries(LAYERS).flatMap(([layer, others]) =>
    others.filter((other) => !`${layer} ${other}`.includes('operations/')).map((other) => `${layer} imports ${other}`),
  );
  assert.deepEqual(
    allowed.filter((one) => !imported.includes(one)),
    [],
  );
});

test('every folder of src has its place among the layers', () => {
  const layers = new Set(sources('src/**/*.ts').map(({ path }) => layerOf(path)));
  assert.deepEqual(
    [...layers].filter((layer) => !(layer in LAYERS) && !COMMON.includes(layer)),
    [],
  );
});

/** Patterns in the text of the sources, with the only files that may contain them. */
const PLACES: { what: string; pattern: RegExp; only: RegExp }[] = [
  { what: 'the AWS SDK', pattern: /from '@(aws-sdk|smithy)\//, only: /^src\/cloud\/aws\/sdk\.ts$/ },
  {
    what: 'child processes',
    pattern: /from 'node:child_process'/,
    only: /^src\/(transfer\/process|indexing\/lz4-command)\.ts$/,
  },
  {
    what: 'printing and exiting',
    pattern: /process\.(stdout|stderr|exit\b|exitCode)/,
    only: /^src\/(cli\/|bin\.ts|fuse\/serving-process\.ts|indexing\/indexing-process\.ts)/,
  },
  { what: 'the environment', pattern: /process\.env/, only: /^src\/(cli\/|transfer\/process\.ts|index\.ts)/ },
  { what: 'the clock', pattern: /Date\.now\(|new Date\(\)|performance\.now/, only: /^src\/lib\/clock\.ts$/ },
  { what: 'timers', pattern: /setTimeout|setInterval/, only: /^src\/(lib\/clock|cli\/render\/ticker)\.ts$/ },
  { what: 'a shell', pattern: /shell: true|execSync\(|\bexec\(`|'(ba|da)?sh'|\/(ba|da)?sh'/, only: /^$/ },
  { what: 'saving progress', pattern: /\.saveProgress\(/, only: /^src\/operations\/migrate\/journal\.ts$/ },
  { what: 'the pattern of a region', pattern: /\[a-z\]\{2[,\d]*\}\(/, only: /^src\/lib\/aws-names\.ts$/ },
  {
    what: 'the pattern of an id',
    pattern: /\[0-9a-f\]\{17\}|\b(?:snap|vol|i|ami)-\(?(?:\?:)?(?:\[|\\[dw])/,
    only: /^src\/lib\/aws-names\.ts$/,
  },
];

for (const { what, pattern, only } of PLACES) {
  test(`${what}: only where it belongs`, () => {
    const wrong = sources('src/**/*.ts').filter(({ path, text }) => pattern.test(text) && !only.test(path));
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
  });
}

/** Names of programs in the text of the sources. Those that are computed, such as compressors, are not found. */
const STARTED = /(?:runTool\(|argv(?:: [^=]+)? = |argv: )\[\s*'([a-z][\w.]*)'/g;

test('the decision about helper programs has a reason for each program that is started', () => {
  const decision = readFileSync(join(root, 'docs/development/decisions/017-helper-programs.md'), 'utf8');
  const named = new Set([...decision.matchAll(/`([\w.]+)`|\b(?:gpg|tar)\b/g)].map(([whole, name]) => name ?? whole));
  const started = sources('src/**/*.ts').flatMap(({ text }) =>
    [...text.matchAll(STARTED)].map(([, name = '']) => name),
  );
  assert.ok(started.includes('losetup') && started.includes('env'), started.join(' '));
  assert.deepEqual(
    [...new Set(started)].filter((name) => !named.has(name)),
    [],
  );
});

test('the lab imports only the shared checksum from src', () => {
  const wrong = sources('lab/**/*.ts').flatMap(({ path, text }) =>
    importsOf(text)
      .filter((name) => name.includes('/src/') && !name.endsWith('src/lib/bytes/crc32.ts'))
      .map((name) => `${path} imports ${name}`),
  );
  assert.deepEqual(wrong, []);
});

const MAX_LINES = 300;

/** The linter measures functions, methods and arrow functions. */
test('files are short', () => {
  const long = sources('{src,lab}/**/*.ts').filter(({ text }) => text.split('\n').length > MAX_LINES);
  assert.deepEqual(
    long.map(({ path }) => path),
    [],
  );
});

/** Imports of types count, too: files that cannot be understood without each other are one module. */
test('modules do not import each other in circles', () => {
  const imports = new Map(sources('{src,lab}/**/*.ts').map(({ path, text }) => [path, modulesIn(path, text)]));
  assert.deepEqual(circlesIn(imports), []);
  assert.deepEqual(
    circlesIn(
      new Map([
        ['a', ['b']],
        ['b', ['c', 'd']],
        ['c', ['a']],
        ['d', []],
      ]),
    ),
    ['a, b, c'],
  );
});

const modulesIn = (path: string, text: string): string[] =>
  importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(path), name)));

/** @returns the modules of each circle, which are modules that reach each other. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const reach = new Map([...imports.keys()].map((path) => [path, reachedFrom(path, imports)]));
  const circles = [...reach].flatMap(([path, reached]) =>
    reached.has(path)
      ? [
          [...reached]
            .filter((other) => reach.get(other)?.has(path))
            .sort()
            .join(', '),
        ]
      : [],
  );
  return [...new Set(circles)];
}

function reachedFrom(path: string, imports: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...(imports.get(path) ?? [])];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(imports.get(next) ?? []));
  }
  return reached;
}

/** Names that two files declare, with the reason. */
const DECLARED_TWICE: Record<string, string> = {
  readAssets: 'the build replaces one file by the other, so only one of them is ever loaded',
};

test('an exported name has one declaration, because one word stands for one thing', () => {
  const declared = declarationsIn(sources('src/**/*.ts'));
  assert.deepEqual(
    [...declared].filter(([name, paths]) => paths.length > 1 && !(name in DECLARED_TWICE)),
    [],
  );
  for (const name of Object.keys(DECLARED_TWICE))
    assert.ok((declared.get(name)?.length ?? 0) > 1, `${name} is no longer declared twice`);
  const example = ['function a() {}', 'const b = 1', 'type a = 1'].map((text, at) => ({
    path: `${at}.ts`,
    text: `export ${text};\n`,
  }));
  assert.deepEqual(
    [...declarationsIn(example)],
    [
      ['a', ['0.ts', '2.ts']],
      ['b', ['1.ts']],
    ],
  );
});

/** @returns the files that declare each exported name. Exports of names that other files declare do not count. */
function declarationsIn(files: readonly { path: string; text: string }[]): Map<string, string[]> {
  const declared = new Map<string, string[]>();
  for (const { path, text } of files)
    for (const [, name = ''] of text.matchAll(DECLARATION))
      declared.set(name, [...new Set([...(declared.get(name) ?? []), path])]);
  return declared;
}

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|type|interface|enum) +(\w+)/gm;

test('no file contains the metadata address, so that nothing can call it by accident', () => {
  const found = sources('{src,lab,scripts,bench}/**/*.{ts,mjs}').filter(({ text }) => text.includes('169.254.'));
  assert.deepEqual(
    found.map(({ path }) => path),
    [],
  );
});

test('the documentation of the architecture describes every folder of src', () => {
  const page = globSync('docs/**/architecture.md', { cwd: root }).map((path) => readFileSync(join(root, path), 'utf8'));
  const described = [...page.join('').matchAll(/^\| `([^`]+)` \| [A-Z].*\. \|$/gm)].map(([, folder]) => folder);
  const present = [...new Set(sources('src/**/*.ts').flatMap(({ path }) => foldersOf(path)))];
  assert.deepEqual(described.sort(), [...present, 'lab'].sort());
});

/** @returns `a/b` and `a` for `a/b/c.ts`. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [...foldersOf(folder), folder];
}

const MAX_FILES = 20;

test('folders have few files', () => {
  const count = new Map<string, number>();
  for (const { parentPath } of globSync('{src,lab,bench,scripts,test,docs}/**/*.*', { cwd: root, withFileTypes: true }))
    count.set(relative(root, parentPath), (count.get(relative(root, parentPath)) ?? 0) + 1);
  assert.ok(count.size > 50, `${count.size} folders`);
  assert.deepEqual(
    [...count].filter(([, files]) => files > MAX_FILES),
    [],
  );
});

test('the folders of unit tests mirror those of the sources', () => {
  const folders = globSync('test/unit/**/*.test.ts', { cwd: root }).map((path) => relative('test/unit', dirname(path)));
  assert.deepEqual(
    [...new Set(folders)].filter((folder) => !existsSync(join(root, 'src', folder))),
    [],
  );
});

test('unit tests start no lab', () => {
  const own = join('test', 'unit', 'architecture.test.ts');
  const wrong = sources('test/unit/**/*.test.ts').filter(
    ({ path, text }) => path !== own && /\b(labForTest|startLab|labUp)\b/.test(text),
  );
  assert.deepEqual(
    wrong.map(({ path }) => path),
    [],
  );
});
