/** Compares the exit codes in the help of each command with those in its document. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import type { CliContext } from '../../../src/cli/context.ts';
import { buildProgram } from '../../../src/cli/program.ts';
import { EXIT } from '../../../src/errors.ts';

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');

/** The document of each command that has one of its own. */
const DOCUMENTS: Record<string, string> = {
  validate: 'validate.md',
  restore: 'restore.md',
  list: 'list.md',
  drill: 'drill.md',
  analyze: 'costs/analyze.md',
  compare: 'costs/compare.md',
  doctor: 'doctor.md',
  expire: 'expire.md',
};

const context = { process, finish: () => {}, signal: new AbortController().signal } as unknown as CliContext;

const program = buildProgram(context, []);

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
  });
  command.outputHelp();
  return text;
}

const sorted = (codes: Iterable<number>): number[] => [...new Set(codes)].sort((one, other) => one - other);

function codesInHelp(command: Command): number[] {
  const [, section = assert.fail(`${command.name()} has no exit status`)] = helpOf(command).split('\nExit status:\n');
  return [...section.matchAll(/^ {2}(\d+) +\w/gm)].map(([, code]) => Number(code));
}

const commandNamed = (name: string): Command =>
  program.commands.find((command) => command.name() === name) ?? assert.fail(name);

/** Codes in sentences, such as "exits with 12", "the exit code is 3" and "(exit code 1 or 2)". */
const codesInSentences = (text: string): number[] =>
  [...text.matchAll(/exits?\s(?:with|code)(?:\sis)?\s(\d+(?:(?:, | or )\d+)*)/g)].flatMap(([, codes = '']) =>
    codes.split(/, | or /).map(Number),
  );

/** Codes in the column "exit code" of a table; `null` if there is no such table. */
function codesInTable(text: string): number[] | null {
  const rows = /^(\|.*exit code \|.*)\n\|[- |]+\n((?:\|.*\n)+)/m.exec(text);
  if (!rows) return null;
  const [, head = '', body = ''] = rows;
  const column = head.split('|').findIndex((cell) => cell.trim() === 'exit code');
  const last = head.split('|').length - 2;
  return body
    .trim()
    .split('\n')
    .map((row) => row.split('|'))
    .flatMap((cells) => [...(cells[column] ?? '').split(','), ...others(cells[last] ?? '')].map(Number));
}

/** Further codes that a row explains, such as "which can also be 2, 10 or 11". */
const others = (cell: string): string[] => (/also be ([\d, or]+\d)/.exec(cell)?.[1] ?? '').match(/\d+/g) ?? [];

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

test('the help of each command and subcommand lists its exit codes in order', () => {
  for (const command of withSubcommands(program)) {
    const codes = codesInHelp(command);
    assert.deepEqual(codes, sorted(codes), command.name());
    for (const code of [EXIT.ok, EXIT.failed, EXIT.usage, EXIT.interrupted])
      assert.ok(codes.includes(code), `${command.name()}: ${code}`);
  }
});

test('the help of the program lists the exit codes of all commands', () => {
  const all = program.commands.flatMap(withSubcommands).flatMap(codesInHelp);
  assert.deepEqual(codesInHelp(program), sorted(all));
});

test('a table of exit codes in a document has those of the help', () => {
  const tables = Object.entries(DOCUMENTS).flatMap(([name, path]) => {
    const codes = codesInTable(readFileSync(join(DOCS, path), 'utf8'));
    return codes ? [{ name, codes: sorted(codes) }] : [];
  });
  assert.deepEqual(
    tables.map(({ name }) => name),
    ['drill', 'analyze', 'expire'],
  );
  for (const { name, codes } of tables) assert.deepEqual(codes, codesInHelp(commandNamed(name)), name);
});

test('the help lists every exit code that the document of the command names', () => {
  let found = 0;
  for (const [name, path] of Object.entries(DOCUMENTS)) {
    const named = codesInSentences(readFileSync(join(DOCS, path), 'utf8'));
    const inHelp = codesInHelp(commandNamed(name));
    assert.deepEqual(
      sorted(named).filter((code) => !inHelp.includes(code)),
      [],
      name,
    );
    found += named.length;
  }
  assert.ok(found >= 15, `${found} codes were found`);
});
