/** The build rewrites packages and declarations, and detects when they change their form. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type BuildOptions, build } from 'esbuild';
import { apiReport, REPORT } from '../../scripts/api.ts';
import { reachedFrom } from '../../scripts/build/declarations.ts';
import { namedKeys, quietHttp, withNamedKeys } from '../../scripts/build/rewriting.ts';

const ROOT = join(import.meta.dirname, '..', '..');

test('the schemas of every used SDK client can be rewritten', () => {
  const schemas = globSync('node_modules/@aws-sdk/client-*/dist-es/schemas/schemas_0.js', { cwd: ROOT });
  assert.ok(schemas.length >= 5);
  for (const path of schemas)
    assert.doesNotMatch(withNamedKeys(readFileSync(join(ROOT, path), 'utf8')), /\[_\w+\]:/, path);
});

test('schemas of another form fail the build', () => {
  const schema = 'const _a = "name";\nexport const x = { [_a]: 1 };\n';
  assert.equal(withNamedKeys(schema), 'const _a = "name";\nexport const x = { "name": 1 };\n');
  for (const other of [
    'export const x = { name: 1 };\n',
    'const _a = "name";\nexport const x = { [_a]: 1, [_b]: 2 };\n',
    'const _a = "name";\nexport const x = { [_a]: 1, [names.b]: 2 };\n',
  ])
    assert.throws(() => withNamedKeys(other), /schemas of the SDK look different/);
});

test('a build in which nothing is rewritten fails', async () => {
  const options: BuildOptions = { stdin: { contents: '' }, bundle: true, write: false, logLevel: 'silent' };
  await assert.rejects(build({ ...options, plugins: [namedKeys] }), /no schemas to rewrite in client-ebs/);
  await assert.rejects(build({ ...options, plugins: [quietHttp] }), /nothing imports http/);
});

test('only reachable declarations are published, and they need no package', () => {
  const texts: Record<string, string> = {
    'src/index.d.ts': "export type { A } from './a/a.ts';\nimport type { Readable } from 'node:stream';\n",
    'src/a/a.d.ts': "import { B } from '../b.ts';\nexport type A = B | import('../c.ts').C;\n",
    'src/b.d.ts': 'export type B = 1;\n',
    'src/c.d.ts': 'export type C = 2;\n',
  };
  const read = (path: string) => texts[path] ?? assert.fail(path);
  assert.deepEqual([...reachedFrom('src/index.d.ts', read).keys()], Object.keys(texts));
  texts['src/b.d.ts'] = "import type { X } from '@aws-sdk/client-s3';\nexport type B = X;\n";
  assert.throws(() => reachedFrom('src/index.d.ts', read), /src\/b\.d\.ts declares types of a package/);
});

test('the API report matches the declarations', () => {
  assert.equal(readFileSync(join(ROOT, REPORT), 'utf8'), apiReport(), 'out of date: npm run api');
});
