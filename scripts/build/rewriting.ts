/**
 * Rewrites packages so that esbuild leaves out code that the program does not use
 * (docs/development/decisions/011-few-files.md). If a rewriting finds nothing to rewrite, the build fails, because a
 * new version of the package then has another form.
 */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

/** Clients of the SDK whose schemas are rewritten. */
const CLIENTS = ['client-ebs', 'client-ec2', 'client-pricing', 'client-s3', 'client-sts'];

/**
 * The SDK names keys of its schemas by constants, `{ [_xN]: … }`. Evaluating such a key could have a side effect, so
 * esbuild keeps the schemas of all 700 operations of EC2. With names instead of constants, it keeps only the used ones.
 */
export const namedKeys: Plugin = {
  name: 'named keys',
  setup: ({ onLoad, onEnd }) => {
    const rewritten: string[] = [];
    onLoad({ filter: /\/dist-es\/schemas\/schemas_\d+\.js$/ }, ({ path }) => {
      rewritten.push(path);
      return { contents: withNamedKeys(readFileSync(path, 'utf8')) };
    });
    onEnd(() => {
      const missing = CLIENTS.filter((client) => !rewritten.some((path) => path.includes(`/${client}/`)));
      if (missing.length > 0) throw new Error(`found no schemas to rewrite in ${missing.join(', ')}`);
    });
  },
};

/** @throws Error if no key is named by a constant, or if a key is named by another expression */
export function withNamedKeys(schemas: string): string {
  const names = new Map(
    Array.from(schemas.matchAll(/^const (_\w+) = ("\w+");$/gm), ([, name = '', value = '']) => [name, value]),
  );
  let count = 0;
  const named = schemas.replace(/\[(_\w+)\](?=:)/g, (key, name: string) => {
    const value = names.get(name);
    if (value !== undefined) count++;
    return value ?? key;
  });
  const [left] = /[{,]\s*\[[^\]]*\]\s*:/.exec(named) ?? [];
  if (count === 0 || left !== undefined)
    throw new Error(`schemas of the SDK look different: ${count} keys were rewritten, left is ${left ?? 'nothing'}`);
  return named;
}

/** An `import` of Node's `http` loads all of its exports, including `fetch` and `WebSocket`. */
export const quietHttp: Plugin = {
  name: 'quiet http',
  setup: ({ onResolve, onLoad, onEnd }) => {
    let isUsed = false;
    onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'http', namespace: 'builtin' }));
    onLoad({ filter: /^http$/, namespace: 'builtin' }, () => {
      isUsed = true;
      return { contents: "module.exports = process.getBuiltinModule('node:http');" };
    });
    onEnd(() => {
      if (!isUsed) throw new Error('nothing imports http: the rewriting of it is not needed any more');
    });
  },
};
