/** Compares documents with the code that they describe. */
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

/** The names in the first column of a document's tables. */
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

test('every exit code is in scripting.md and in the help', () => {
  for (const code of Object.values(EXIT)) {
    assert.match(read('docs/scripting.md'), new RegExp(`^\\| ${code} \\|`, 'm'));
    assert.match(EVERY_EXIT_STATUS, new RegExp(`^  ${code} +\\w`, 'm'));
  }
});

test('every event is documented', () => {
  const sources = globSync('src/events/*.ts', { cwd: root }).map(read).join('\n');
  const codes = [...sources.matchAll(/\{\s*code: '([^']+)'/g)].map(([, code = '']) => code);
  assert.deepEqual(firstColumn('docs/events.md').sort(), codes.sort());
});

test('every fault that a service itself plays is in its BEHAVIOUR.md', () => {
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

test('the program, its helpers and the tests start Node with the same options', () => {
  assert.equal(read('src/bin.ts').split('\n')[0], `#!/usr/bin/env -S node ${NODE_FLAGS.join(' ')}`);
});

test('links in packaged documents lead to packaged files', () => {
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

/** Links to the web are left out. */
const linksIn = (path: string): string[] =>
  [...read(path).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target));

test('links between documents have a target', () => {
  const documents = globSync('{*.md,docs/**/*.md,lab/**/*.md}', { cwd: root });
  const broken = documents.flatMap((path) =>
    linksIn(path)
      .filter((target) => !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

const DOCUMENTS = globSync('{*.md,.github/**/*.md,docs/**/*.md,lab/**/*.md}', { cwd: root }).filter(
  (path) => path !== 'docs/development/api.md',
);

test('the changelog, the lock file and the README have the version of the package', () => {
  const headings = [...read('CHANGELOG.md').matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading);
  assert.equal(headings.shift(), '[Unreleased]');
  const releases = headings.map(
    (heading) => /^\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$/.exec(heading) ?? assert.fail(heading),
  );
  assert.equal(releases[0]?.[1], VERSION);
  const days = releases.map(([, , day = '']) => day);
  assert.deepEqual(days, days.toSorted().reverse());
  for (const day of days) assert.equal(new Date(day).toISOString().slice(0, 10), day);
  const lock = JSON.parse(read('package-lock.json')) as { version: string; packages: { '': { version: string } } };
  assert.deepEqual([lock.version, lock.packages[''].version], [VERSION, VERSION]);
  const packed = [...read('README.md').matchAll(/snap-to-s3-([\d.]+)\.tgz/g)].map(([, version]) => version);
  assert.deepEqual(packed, [VERSION]);
});

test('the changelog uses only the defined kinds of changes', () => {
  const kinds = [...read('CHANGELOG.md').matchAll(/^### (.*)$/gm)].map(([, kind = '']) => kind);
  assert.deepEqual(
    kinds.filter((kind) => !['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'].includes(kind)),
    [],
  );
});

test('npm refuses to publish the package, because its name belongs to another program', () => {
  assert.equal((JSON.parse(read('package.json')) as { private?: boolean }).private, true);
});

/** The faults and the descriptions of the lab have this name in its code. */
const BEHAVIOUR = /BEHAVIOUR|`behaviour`/g;

const BRITISH =
  /\b\w*(?:[cgln]nis(?:e|ed|es|ing)|lour|haviour|vour|licence|alys(?:e[drs]|ing)|eighbour\w*|fulfils|cancell(?:ed|ing)|catalogue|optimis|minimis|summaris|availability zone)\b/g;

test('documents have American spelling', () => {
  const texts = DOCUMENTS.filter((path) => !path.endsWith('BEHAVIOUR.md')).flatMap((path) =>
    [...read(path).replaceAll(BEHAVIOUR, '').matchAll(BRITISH)].map(([word]) => `${path}: ${word}`),
  );
  assert.deepEqual(texts, []);
});

test('npm scripts and commands in documents exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const unknown = DOCUMENTS.flatMap((path) => [
    ...[...read(path).matchAll(/\bnpm run ([\w:]+)/g)].filter(([, name = '']) => !(name in scripts)),
    ...[...read(path).matchAll(/`snap-to-s3 (\w+)/g)].filter(
      ([, name = '']) => !existsSync(join(root, 'src', 'cli', 'commands', `${name}.ts`)),
    ),
  ]).map(([text]) => text);
  assert.deepEqual(unknown, []);
});

/** Pages may omit `src/` from a name. Files of the build and of buckets need not exist. */
test('files that documents name exist', () => {
  const missing = DOCUMENTS.flatMap((path) =>
    [...read(path).matchAll(/`((?:[\w.*-]+\/)+[\w.*-]+\.(?:ts|mjs|py|md|json|wat))`/g)]
      .map(([, name = '']) => name)
      .filter((name) => !/^(dist|BUCKET)\//.test(name))
      .filter((name) => globSync([name, join('src', name), join(dirname(path), name)], { cwd: root }).length === 0)
      .map((name) => `${path}: ${name}`),
  );
  assert.deepEqual(missing, []);
});

test('the address for vulnerability reports is not a host that may not exist', () => {
  for (const path of ['SECURITY.md', ...globSync('.github/**/*', { cwd: root }).filter((name) => name.endsWith('.md'))])
    assert.doesNotMatch(read(path), /https?:|@/, path);
});

test('issue templates have all fields of the form, and ask for the version', () => {
  const templates = globSync('.github/ISSUE_TEMPLATE/*', { cwd: root });
  assert.ok(templates.length >= 2);
  for (const path of templates) assert.match(read(path), /^---\nname: .+\nabout: .+\nlabels: .+\n---\n/, path);
  assert.match(read('.github/ISSUE_TEMPLATE/bug_report.md'), /`snap-to-s3 --version`/);
});

test('editors use the settings of the formatter', () => {
  const { formatter } = JSON.parse(read('biome.json')) as {
    formatter: { indentStyle: string; indentWidth: number; lineWidth: number };
  };
  const [, general = ''] = /^\[\*\]\n([^[]*)/m.exec(read('.editorconfig')) ?? [];
  const settings = Object.fromEntries(general.split('\n').flatMap((line) => (line ? [line.split(' = ')] : [])));
  assert.deepEqual(
    [settings['indent_style'], settings['indent_size'], settings['max_line_length'], settings['end_of_line']],
    [formatter.indentStyle, String(formatter.indentWidth), String(formatter.lineWidth), 'lf'],
  );
});
