/** The code blocks in the documents. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

export interface DocumentedBlock {
  /** The path of the document, such as `docs/list.md`. */
  document: string;
  /** The language that the fence names. */
  kind: string;
  text: string;
}

/**
 * Excludes generated pages: docs/development/api.md is compared as a whole, and test/documents/performance.test.ts
 * checks the figures in docs/development/performance.md.
 */
export const documentBlocks = (): DocumentedBlock[] =>
  globSync('{*.md,docs/**/*.md,lab/**/*.md}', { cwd: ROOT })
    .sort()
    .filter((document) => !/^docs\/development\/(api|performance)\.md$/.test(document))
    .flatMap((document) => blocksOf(document, readFileSync(join(ROOT, document), 'utf8')));

/** @throws Error for a block that does not end, and for an indented block, which has no language. */
export function blocksOf(document: string, text: string): DocumentedBlock[] {
  const blocks: DocumentedBlock[] = [];
  let block: DocumentedBlock | null = null;
  let before = '';
  for (const line of text.split('\n')) {
    const fence = /^ *```(.*)$/.exec(line);
    if (block === null) {
      assert.ok(!(before === '' && /^ {4,}\S/.test(line)), `${document}: a block without a fence: ${line}`);
      if (fence) block = { document, kind: fence[1] ?? '', text: '' };
    } else if (fence) {
      blocks.push(block);
      block = null;
    } else block.text += `${line}\n`;
    before = line;
  }
  assert.equal(block, null, `${document}: a block does not end`);
  return blocks;
}

export interface DocumentedCommand {
  document: string;
  text: string;
}

/** Returns the commands of blocks of commands, and of blocks that show a command with its output. */
export const documentedCommands = (): DocumentedCommand[] =>
  documentBlocks().flatMap(({ document, kind, text }) =>
    commandsIn(kind, text).map((command) => ({ document, text: command })),
  );

/** Lines that continue after a backslash or in quotation marks are one command. A block with a shebang is a program. */
export function commandsIn(kind: string, text: string): string[] {
  if (kind === 'console') return [...text.matchAll(/^\$ (.*)$/gm)].map(([, command = '']) => command);
  if (kind !== 'sh') return [];
  if (text.startsWith('#!')) return [text];
  const commands: string[] = [];
  let open = false;
  for (const line of text.split('\n').filter((each) => each !== '')) {
    if (open) commands.push(`${commands.pop()}\n${line}`);
    else commands.push(line);
    const last = commands.at(-1) ?? '';
    open = line.endsWith('\\') || (last.match(/'/g)?.length ?? 0) % 2 === 1;
  }
  assert.ok(!open, `a command does not end: ${commands.at(-1)}`);
  return commands;
}
