/**
 * Several modules as one script: an inline script cannot import, and a page that is one file has nothing to import from.
 * For modules written as ours are: imports by name from relative paths, exports in front of a declaration.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

const IMPORT = /^import \{([^}]*)\} from '(\.[^']*)';$/gm;
const EXPORT = /^export (?=(?:async )?(?:function\*?|const|class) (\w+))/gm;

/**
 * Each module becomes a function of its own, run once, after those that it imports; names do not meet.
 * @throws Error at an import or export of another kind, and where modules import one another in a circle
 */
export function linkModules(entry: URL): string {
  const bodies = new Map<string, string>();
  add(entry, bodies, []);
  const names = [...bodies.keys()];
  const script = names
    .map((url, index) => `// ${url.split('/').at(-1)}\nmodules[${index}] = ${wrapped(url)}`)
    .join('\n');
  return `'use strict';\n{\nconst modules = [];\n${script}\n}\n`;

  function wrapped(url: string): string {
    const linked = (bodies.get(url) ?? '').replace(IMPORT, (_, imported, path) => {
      const place = names.indexOf(new URL(path, url).href);
      return `const {${imported.replaceAll(' as ', ': ')}} = modules[${place}];`;
    });
    const exported = [...linked.matchAll(EXPORT)].map(([, name]) => name);
    return `(() => {\n${linked.replace(EXPORT, '')}\nreturn { ${exported.join(', ')} };\n})();`;
  }
}

function add(url: URL, bodies: Map<string, string>, importers: readonly string[]): void {
  if (importers.includes(url.href)) throw new Error(`${url.href} imports itself by ${importers.join(', ')}`);
  if (bodies.has(url.href)) return;
  const body = plainScript(url);
  for (const [, , path = ''] of body.matchAll(IMPORT)) add(new URL(path, url), bodies, [...importers, url.href]);
  const [strange] =
    body
      .replace(IMPORT, '')
      .replace(EXPORT, '')
      .match(/^(?:import|export) .*$/m) ?? [];
  if (strange !== undefined) throw new Error(`${url.href} cannot be linked: ${strange}`);
  bodies.set(url.href, body);
}

/** The published package holds JavaScript; a checkout holds TypeScript, whose types are blanked out. */
function plainScript(url: URL): string {
  const text = readFileSync(url, 'utf8');
  const script = url.pathname.endsWith('.ts') ? stripTypeScriptTypes(text) : text;
  return script.replace(/^export \{\};?$/gm, '').trim();
}
