/** Writes docs/development/reliability.md from the observations of the tests, and reads it for comparison. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf } from '../support/fingerprint.ts';
import { type Cell, COMMANDS, type CommandName } from './matrix.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const DOCUMENT = join(ROOT, 'docs', 'development', 'reliability.md');

/** The files that determine the outcomes: the faults, how they are observed, and the code that handles them. */
const DESCRIBED =
  '{test/reliability/{matrix,observe}.ts,src/cloud/**/*.ts,src/errors.ts,src/lib/wait.ts,lab/core/faults.ts}';

export const fingerprint = (): string => fingerprintOf(DESCRIBED);

const STAMP = /^All cells were observed on (\d{4}-\d\d-\d\d), of code with the fingerprint `([0-9a-f]+)`\.$/m;

/** Returns when one run last tested all cells, and with which code; `null` if no such run is recorded. */
export function readStamp(): { day: string; fingerprint: string } | null {
  const [, day, found] = STAMP.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  return day === undefined || found === undefined ? null : { day, fingerprint: found };
}

const stampOf = (day: string): string =>
  `All cells were observed on ${day}, of code with the fingerprint \`${fingerprint()}\`.`;

const BEGIN = '<!-- observed: begin -->';
const END = '<!-- observed: end -->';

const NAMES: Record<string, string> = { ec2: 'EC2', s3: 'S3', imds: 'metadata' };

/** Returns the first three columns of the row of a cell. */
const rowOf = ({ service, operation, trouble }: Cell): string => `${NAMES[service]} | ${operation} | ${trouble.name}`;

export type Observations = Map<string, string>;

export const place = (cell: Cell): string => `${rowOf(cell)} | ${cell.command}`;

/**
 * Writes the table. Messages are long and often repeated, so the table has their numbers, and a list follows it.
 * @param day on which one run tested all cells; `null` keeps the day that is recorded.
 */
export function writeTable(observed: Observations, day: string | null): void {
  const rows = [...new Set([...observed.keys()].map((key) => key.slice(0, key.lastIndexOf(' | '))))].sort();
  const notes: string[] = [];
  const cell = (row: string, command: CommandName): string => {
    const text = observed.get(`${row} | ${command}`);
    if (text === undefined) return '';
    if (text === 'survived') return 'survived';
    if (!notes.includes(text)) notes.push(text);
    return `[${notes.indexOf(text) + 1}]`;
  };
  const lines = rows.map((row) => `| ${row} | ${COMMANDS.map((command) => cell(row, command)).join(' | ')} |`);
  const heading = `| service | call | fault | ${COMMANDS.join(' | ')} |`;
  const rule = `|${' --- |'.repeat(3 + COMMANDS.length)}`;
  const list = notes.map((note, index) => `${index + 1}. ${note}`);
  const text = readFileSync(DOCUMENT, 'utf8');
  const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
  const after = text.slice(text.indexOf(END));
  const last = STAMP.exec(text)?.[0];
  const stamp = day === null ? last : stampOf(day);
  const stamped = stamp === undefined ? [] : [stamp, ''];
  writeFileSync(DOCUMENT, `${[before, '', ...stamped, heading, rule, ...lines, '', ...list, ''].join('\n')}${after}`);
}

export function readTable(): Observations {
  const text = readFileSync(DOCUMENT, 'utf8');
  const lines = text.slice(text.indexOf(BEGIN), text.indexOf(END)).split('\n');
  const notes = lines.flatMap((line) => /^\d+\. (.*)$/.exec(line)?.[1] ?? []);
  const observed: Observations = new Map();
  for (const line of lines.filter((row) => /^\| (EC2|S3|metadata) \|/.test(row))) {
    const [service, operation, fault, ...cells] = line.slice(2, -2).split(' | ');
    for (const [index, command] of COMMANDS.entries()) {
      const cell = cells[index]?.trim() ?? '';
      if (cell === '') continue;
      const number = /^\[(\d+)\]$/.exec(cell)?.[1];
      const outcome = number === undefined ? cell : (notes[Number(number) - 1] ?? '');
      observed.set(`${service} | ${operation} | ${fault} | ${command}`, outcome);
    }
  }
  return observed;
}
