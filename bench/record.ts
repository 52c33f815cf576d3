/** Prints the results of a bench, and writes them to docs/development/performance.md with the command and the code. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fingerprintOf } from '../test/support/fingerprint.ts';

const DOCUMENT = join(import.meta.dirname, '..', 'docs', 'development', 'performance.md');

const TRANSFER = 'src/{transfer,lib/bytes}/**/*.ts';
const STREAMS = 'src/{archive,streams,lz4,lib/bytes}/**/*.{ts,wat}';

/** The sections of the document, each with the code whose speed determines its figures. */
export const MEASURED_CODE: Record<string, readonly string[]> = {
  migrate: [TRANSFER, 'src/{archive,indexing,lz4}/**/*.{ts,wat}', 'src/operations/migrate/object/*.ts'],
  validate: [TRANSFER, STREAMS, 'src/operations/{verify,validate}/**/*.ts'],
  restore: [TRANSFER, STREAMS, 'src/operations/restore/{files,image}/**/*.ts'],
  direct: [TRANSFER, 'src/cloud/aws/{clients,network,retries}.ts', 'src/cloud/aws/ebs/*.ts'],
  growth: [
    TRANSFER,
    'src/indexing/*.ts',
    'src/archive/{points/*,json-lines}.ts',
    'src/operations/{list,expire,reading/bucket,reading/point,restore/point}/*.ts',
    'src/operations/migrate/*.ts',
  ],
  incremental: [
    'src/{archive,indexing,lz4}/**/*.{ts,wat}',
    'src/operations/migrate/{object,points}/*.ts',
    'src/operations/reading/point/*.ts',
    'src/costs/{price-table,built-in-prices}.ts',
  ],
  analyze: ['src/{billing,costs}/**/*.ts', 'src/operations/analyze/*.ts'],
};

export const measuredCode = (section: string): string => fingerprintOf(`{${(MEASURED_CODE[section] ?? []).join(',')}}`);

const between = (section: string) => new RegExp(`(<!-- measured: ${section} -->\\n)[^]*?(<!-- measured: end -->)`);

/** Returns the fingerprint of the measured code in a section of the document, or `null` if the section has none. */
export function recordedCode(section: string): string | null {
  const text = between(section).exec(readFileSync(DOCUMENT, 'utf8'))?.[0];
  return /of code with the fingerprint `([0-9a-f]+)`/.exec(text ?? '')?.[1] ?? null;
}

/** @param command the command without its options. @param options the options of the user, or their defaults. */
export function recorder(command: string, options: Record<string, string | boolean | undefined>) {
  const said = new Map<string, string[]>();
  const shown = Object.entries(options)
    .filter(([, value]) => typeof value === 'string' && value !== '')
    .map(([name, value]) => ` --${name} ${value}`);
  const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}`;
  process.stdout.write(`${machine}\n`);
  return {
    /** Prints lines, and keeps them for a section. */
    add(section: string, lines: readonly string[]): void {
      process.stdout.write(`${lines.join('\n')}\n`);
      said.set(section, [...(said.get(section) ?? []), ...lines]);
    },
    /** Replaces the sections of the document that have new results. */
    write(): void {
      let text = readFileSync(DOCUMENT, 'utf8');
      for (const [section, lines] of said) {
        if (!between(section).test(text)) throw new Error(`${DOCUMENT} has no section for ${section}`);
        const source = `Measured on ${new Date().toISOString().slice(0, 10)} by \`${command} --${shown.join('')}\`,\nof code with the fingerprint \`${measuredCode(section)}\`:`;
        const results = ['```text', machine, ...lines, '```'].join('\n');
        text = text.replace(
          between(section),
          (_, begin: string, end: string) => `${begin}\n${source}\n\n${results}\n\n${end}`,
        );
      }
      writeFileSync(DOCUMENT, text);
    },
  };
}
