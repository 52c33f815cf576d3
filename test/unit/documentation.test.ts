/** Documents that can be wrong without anybody noticing: compared with what they describe. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { EVERY_EXIT_STATUS } from '../../src/cli/help.ts';
import { ERROR_CODES, EXIT } from '../../src/errors.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { VERSION } from '../../src/version.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The first column of a document's tables. */
const firstColumn = (path: string): string[] =>
  [...read(path).matchAll(/^\| ((?:`[\w.-]+`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([\w.-]+)`/g)].map(([, name = '']) => name),
  );

test('every error code is explained, with its exit code', () => {
  assert.deepEqual(firstColumn('docs/errors.md').sort(), Object.keys(ERROR_CODES).sort());
  for (const [code, { exit }] of Object.entries(ERROR_CODES)) {
    assert.match(read('docs/errors.md'), new RegExp(`^\\| \`${code}\` \\| ${exit} \\|`, 'm'), code);
  }
});

test('every exit code is documented, in the document and in the help', () => {
  for (const code of Object.values(EXIT)) {
    assert.match(read('docs/scripting.md'), new RegExp(`^\\| ${code} \\|`, 'm'));
    assert.match(EVERY_EXIT_STATUS, new RegExp(`^  ${code} +\\w`, 'm'));
  }
});

test('every event is documented', () => {
  const codes = [...read('src/events.ts').matchAll(/\{\s*code: '([^']+)'/g)].map(([, code = '']) => code);
  assert.deepEqual(firstColumn('docs/events.md').sort(), codes.sort());
});

test('every fault that services play themselves is in their BEHAVIOUR.md', () => {
  for (const service of ['ec2', 's3', 'ebs']) {
    const played = globSync(`lab/${service}/*.ts`, { cwd: root }).flatMap((path) =>
      [...read(path).matchAll(/behaviours\.(?:has|get)\('([\w-]+)'\)/g)].map(([, name = '']) => name),
    );
    assert.ok(played.length > 0);
    for (const name of played) assert.match(read(`lab/${service}/BEHAVIOUR.md`), new RegExp(`\`${name}\``), name);
  }
});

test('the program has the version of its package', () => {
  assert.equal(VERSION, (JSON.parse(read('package.json')) as { version: string }).version);
});

test('the program starts Node as its helpers and the tests are started', () => {
  assert.equal(read('src/bin.ts').split('\n')[0], `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}`);
});

test('links of documents in the package lead to files in the package', () => {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root });
  const [{ files }] = JSON.parse(packed.toString()) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  const isThere = (target: string) => paths.some((path) => path === target || path.startsWith(`${target}/`));
  const broken = paths
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) => linksIn(path).map((target) => ({ path, target: normalize(join(dirname(path), target)) })))
    .filter(({ target }) => !isThere(target.replace(/\/$/, '')))
    .map(({ path, target }) => `${path}: ${target}`);
  assert.deepEqual(broken, []);
});

/** Without those to the web. */
const linksIn = (path: string): string[] =>
  [...read(path).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target));

test('links between documents lead somewhere', () => {
  const documents = globSync('{*.md,docs/**/*.md,lab/**/*.md}', { cwd: root });
  const broken = documents.flatMap((path) =>
    linksIn(path)
      .filter((target) => !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  );
  assert.deepEqual(broken, []);
});
