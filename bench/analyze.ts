/**
 * Measures how fast billing reports are read.
 *
 *   npm run bench:analyze -- [--rows 1000000] [--snapshots 2000] [--rounds 3] [--report FILE] [--record]
 *
 * `analyze` is compared with `gzip -dc | wc -l`, which only decompresses and counts, and with CSV parsers alone. They
 * take turns, so that all of them meet the same disturbances. The full size is `--rows 10000000 --snapshots 20000`,
 * which is 2 GB.
 */
import { existsSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { NODE_FLAGS } from '../src/lib/node-flags.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { writeLargeBill } from './bill.ts';
import { type Measured, measure, median } from './measure.ts';
import { recorder } from './record.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    snapshots: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    /** A report that is kept and reused. */
    report: { type: 'string' },
    /** Leaves out the CSV parsers alone, which are slow. */
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

const record = recorder('npm run bench:analyze', values);
const say = (text: string): void => record.add('analyze', [text]);
const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const path = values.report ?? join(directory, 'report.csv.gz');
const here = import.meta.dirname;
const PARSERS = values.quick ? [] : ['papaparse', 'csv-parse'];
try {
  const size = { rows: Number(values.rows), snapshots: Number(values.snapshots) };
  if (!existsSync(path)) await writeLargeBill(path, size);
  await compare();
  if (values.record) record.write();
} finally {
  removeDirectory(directory);
}

async function compare(): Promise<void> {
  const unpacked = Number((await measure(['sh', '-c', 'gzip -dc "$0" | wc -c', path], process.env)).stdout[0]);
  const packed = statSync(path).size;
  say(`${(unpacked / 1e9).toFixed(2)} GB of CSV, ${(packed / 1e6).toFixed(0)} MB compressed`);
  const rounds: { ours: Measured; wc: Measured; bare: Record<string, Measured> }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const wc = await measure(['sh', '-c', 'gzip -dc "$0" | wc -l', path], process.env);
    const ours = await measure(
      [process.execPath, ...NODE_FLAGS, join(here, '..', 'src', 'bin.ts'), 'analyze', path, '--offline', '--quiet'],
      process.env,
    );
    const bare: Record<string, Measured> = {};
    for (const parser of PARSERS)
      bare[parser] = await measure([process.execPath, join(here, 'bare-csv.ts'), parser, path], process.env);
    rounds.push({ ours, wc, bare });
  }
  const column = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const line = (name: string, seconds: number) =>
    say(
      `  ${name.padEnd(22)} ${seconds.toFixed(1).padStart(6)} s  ${(unpacked / seconds / 1e6).toFixed(0).padStart(5)} MB/s`,
    );
  line(
    'gzip -dc | wc -l',
    column(({ wc }) => wc.seconds),
  );
  line(
    'analyze',
    column(({ ours }) => ours.seconds),
  );
  say(`  analyze takes ${column(({ ours, wc }) => ours.seconds / wc.seconds).toFixed(2)} times as long as gzip | wc`);
  for (const parser of PARSERS) {
    line(
      `${parser} alone`,
      column(({ bare }) => bare[parser]?.seconds ?? Number.NaN),
    );
    const longer = column(({ ours, bare }) => (bare[parser]?.seconds ?? Number.NaN) / ours.seconds);
    say(`  ${parser} alone takes ${longer.toFixed(2)} times as long as analyze`);
  }
  const cpu = (pick: (round: (typeof rounds)[number]) => number) => column(pick).toFixed(1);
  const bareTimes = PARSERS.map(
    (parser) => `, ${parser} ${cpu(({ bare }) => bare[parser]?.cpuSeconds ?? Number.NaN)} s`,
  );
  say(`  processor time: analyze ${cpu(({ ours }) => ours.cpuSeconds)} s${bareTimes.join('')}`);
  say(`  maximum memory of the process: ${Math.max(...rounds.map(({ ours }) => ours.peakMiB)).toFixed(0)} MiB`);
}
