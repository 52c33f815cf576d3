/**
 * Rewrites packages so that esbuild leaves out what the program does not use (docs/development/decisions/011-few-files.md). Each
 * rewriting fails the build when it finds nothing to rewrite: a new version of the package looks different then.
 */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

/** Clients of the SDK whose schemas are rewritten. */
const CLIENTS = ['client-ebs', 'client-ec2', 'client-pricing', 'client-s3', 'client-sts'];

/**
 * The SDK names keys of its schemas by constants, `{ [_xN]: … }`. To evaluate such a key could have an effect, for all that
 * esbuild knows, so it keeps the schemas of all 700 operations of EC2. With the names in their places it keeps what is used.
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

/** @throws Error when no key is named by a constant, or when a key is named by anything else */
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

/** An `import` of Node's `http` asks for all that it exports, so that Node loads its own `fetch` and `WebSocket` too. */
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
