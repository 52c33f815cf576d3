/** `analyze` recommends incremental archives, and `migrate` follows its plan. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { csv, line, writeBill } from '../support/costs/bills.ts';
import { BUCKET, labForTest, recordsOf, runCli, type TestLab } from '../support/lab.ts';
import { makeLineage } from '../support/lineages/lineage.ts';

const GIB = 2 ** 30;

/** A volume of which 1 % changes between snapshots, and another one with a single snapshot, in the lab and in a bill. */
async function billedLab(t: TestContext): Promise<{ lab: TestLab; bill: string; chain: string[]; single: string }> {
  const lab = await labForTest(t);
  const steps = [{ write: [0, 1, 2, 3] }, ...[0, 1, 2, 3, 4].map((block) => ({ write: [block] }))];
  const chain = (await makeLineage(lab, steps, { dataBytes: 100 * GIB })).map(({ snapshotId }) => snapshotId);
  const [{ snapshotId: single } = { snapshotId: '' }] = await makeLineage(lab, [{ write: [7] }], {
    dataBytes: 50 * GIB,
  });
  const region = { region: 'us-east-1' };
  const snapshots = [
    ...chain.map((id, at) => line(id, (at === 0 ? 100 : 1) * 2048, region)),
    line(single, 50 * 2048, region),
  ];
  const bill = writeBill(
    join(lab.directory, 'bill.csv'),
    csv('cur2', [{ month: '2026-09', others: 0, snapshots }], 'daily'),
  );
  return { lab, bill, chain, single };
}

test('the plan has full and incremental archives; each run archives its own lines', async (t) => {
  const { lab, bill, chain, single } = await billedLab(t);
  const plan = join(lab.directory, 'plan.txt');
  const table = join(lab.directory, 'table.csv');
  const analyzed = await runCli(lab.env, ['analyze', bill, '--plan', plan, '--csv', table]);
  assert.equal(analyzed.code, 0, analyzed.stderr);
  assert.match(
    analyzed.stdout,
    /6 snapshots of vol-\w+ to DEEP_ARCHIVE as incremental archives: saves \$5\.\d\d\/month, .*; 1% of the data changes between snapshots \(measured on 5 snapshots\)$/m,
  );
  assert.match(readFileSync(table, 'utf8'), /,s3 DEEP_ARCHIVE incremental,.*,0\.99999\d+,measured,5,/);
  const text = readFileSync(plan, 'utf8');
  const form = (id: string) => new RegExp(`^${id}  us-east-1  DEEP_ARCHIVE  (\\w+)  vol-`, 'm').exec(text)?.[1];
  assert.deepEqual([...chain, single].map(form), [...chain.map(() => 'incremental'), 'full']);
  const commands = [...text.matchAll(/^# {3}snap-to-s3 (.*)$/gm)].map(([, command = '']) =>
    command.replace('THIS-FILE', plan).replace('BUCKET', BUCKET).split(' '),
  );
  assert.deepEqual(
    commands.map((argv) => argv.at(-1)),
    ['--incremental', '--no-incremental'],
  );
  const [incremental = [], full = []] = commands;

  const both = await runCli(lab.env, incremental.slice(0, -1));
  assert.equal(both.code, 2);
  assert.match(both.stderr, /names several forms of archives: full, incremental/);

  const done = await runCli(lab.env, [...incremental, '--json']);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const points = recordsOf(done).filter(({ code }) => code === 'point.planned');
  assert.deepEqual(
    points.map(({ snapshot, how, blocks }) => [snapshot, how, blocks]),
    chain.map((id, at) => (at === 0 ? [id, 'base', 4] : [id, 'changed-blocks', 1])),
  );
  const others = await runCli(lab.env, [...full, '--dry-run', '--json']);
  assert.equal(others.code, 0, others.stdout + others.stderr);
  const planned = recordsOf(others).filter(({ code }) => code === 'plan.snapshot');
  assert.deepEqual(
    planned.map((record) => (record['plan'] as { snapshot: string }).snapshot),
    [single],
  );
});

test('a plan with one form needs no flag, and conflicting flags are refused', async (t) => {
  const { lab, chain } = await billedLab(t);
  const [first = '', second = '', third = ''] = chain;
  const file = (name: string, text: string) => {
    writeFileSync(join(lab.directory, name), text);
    return join(lab.directory, name);
  };
  const migrate = (path: string, ...argv: string[]) =>
    runCli(lab.env, ['migrate', '--from', path, '--bucket', BUCKET, '--source', 'direct', '--json', ...argv]);
  const marked = file('marked', `${first}  us-east-1  STANDARD  incremental  vol-1\n${second}\n`);
  for (const [argv, code, message] of [
    [['--dd'], 2, /--dd stores full images, but .*marked names incremental archives/],
    [['--replace'], 2, /--incremental never replaces an archive/],
  ] as const) {
    const refused = await migrate(marked, ...argv);
    assert.equal(refused.code, code, refused.stdout);
    assert.match(refused.stderr, message);
  }
  const whole = file('whole', `${first}  us-east-1  STANDARD  full  vol-1\n`);
  const none = await migrate(whole, '--incremental');
  assert.equal(none.code, 10);
  assert.match(none.stderr, /whole names no snapshot for incremental archives/);

  const done = await migrate(marked, '--validate');
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const how = recordsOf(done).flatMap(({ code, how: found }) => (code === 'point.planned' ? [found] : []));
  assert.deepEqual(how, ['base', 'changed-blocks'], 'the line without a form follows the others');
  // A plan of an earlier version has no forms.
  const early = file('early', `${third}  us-east-1  DEEP_ARCHIVE  vol-0123456789abcdef0\n`);
  const plain = await migrate(early, '--dry-run');
  assert.equal(plain.code, 0, plain.stderr);
});
