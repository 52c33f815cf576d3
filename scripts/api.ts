/**
 * Writes the API report, docs/development/api.md, with the types of everything that users of the library can reach. A
 * change of the API is then visible in the diff of a commit.
 *
 *   npm run api
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { declarationsOf } from './build/declarations.ts';

const root = join(import.meta.dirname, '..');

export const REPORT = 'docs/development/api.md';

const HEAD = `# API report

The declarations that the package publishes, without their comments. \`npm run api\` writes this file; a test fails when it
is out of date. [docs/library.md](../library.md) explains the API.
`;

if (import.meta.main) {
  mkdirSync(dirname(join(root, REPORT)), { recursive: true });
  writeFileSync(join(root, REPORT), apiReport());
}

/** @returns the report for the current sources. */
export function apiReport(): string {
  const sections = [...declarationsOf(root)].map(
    ([path, text]) => `## ${path}\n\n\`\`\`typescript\n${withoutComments(text)}\`\`\`\n`,
  );
  return [HEAD, ...sections].join('\n');
}

function withoutComments(text: string): string {
  return text.replace(/^[ \t]*\/\*\*.*?\*\/\n/gms, '');
}
