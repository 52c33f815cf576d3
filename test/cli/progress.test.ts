/** Progress bars on real terminals of several widths. Redraws replace the previous bars, and the log stays intact. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { progressLine } from '../../src/cli/render/progress-text.ts';
import { RunProgress } from '../../src/cli/render/run-progress.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { OBJECTS } from '../support/processes/progress-objects.ts';
import { until } from '../support/until.ts';

const PROGRAM = join(import.meta.dirname, '..', 'support', 'processes', 'progress-program.ts');

const LABEL = OBJECTS[0] ?? '';

const task = (read: number) => ({ label: LABEL, expectedBytes: 2 ** 30, read: () => read, stored: () => read / 2 });

for (const columns of [200, 120, 80, 45]) {
  test(`${columns} columns: a redraw overwrites the previous bar completely`, async (t) => {
    const socket = join(temporaryDirectory(t), 'tmux');
    const tmux = (...args: string[]) => execFileSync('tmux', ['-S', socket, ...args], { encoding: 'utf8' });
    const shown = (...args: string[]) =>
      tmux('capture-pane', '-p', '-S', '-', ...args)
        .trimEnd()
        .split('\n');
    const program = `NODE_NO_WARNINGS=1 '${process.execPath}' '${PROGRAM}'; cat`;
    tmux('-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', '24', 'sh', '-c', program);
    const screens: string[][] = [];
    let log: string[];
    try {
      await until(async () => {
        screens.push(shown());
        return screens.at(-1)?.includes('END') ?? false;
      });
      // `-J` joins the lines that the terminal wrapped.
      log = shown('-J').filter((line) => line !== '');
    } finally {
      tmux('kill-server');
    }
    const bars = screens.map((lines) => lines.filter((line) => /\d%|[█░]|^total: /.test(line)));
    for (const lines of bars) assert.ok(lines.length <= 3, `stale lines:\n${lines.join('\n')}`);
    assert.ok(
      bars.some((lines) => lines.length === 3),
      'two objects and the run were shown together',
    );
    assert.deepEqual(
      log.map((line) => line.trimEnd()),
      ['migrate: 2 snapshots', ...OBJECTS.map((label) => `${label}: started (8 GiB snapshot of vol-1)`), 'END'],
    );
  });
}

test('a line fits any width, and omits the percentage and the remaining time last', () => {
  for (let width = 0; width <= 200; width++) {
    const line = progressLine(task(2 ** 28), 60, width);
    assert.ok(line.length <= width, `${width}: ${line}`);
    if (width >= 20) assert.match(line, /^ 25%|░ {3}25%/);
    if (width >= 45) assert.match(line, /3 min 00 s left$/);
  }
});

test('the remaining time is shown at once for one snapshot, and after the first of several', () => {
  const of = (snapshots: string[]) => {
    const run = new RunProgress();
    run.hear({ code: 'run.started', command: 'migrate', snapshots, priceRegion: null });
    return run;
  };
  const one = of(['snap-1']);
  using _task = one.add(task(2 ** 29));
  assert.equal(one.line(60, 80), 'total: 0 of 1 snapshot done, about 1 min 00 s left');
  const four = of(['snap-1', 'snap-2', 'snap-3', 'snap-4']);
  assert.equal(four.line(60, 80), 'total: 0 of 4 snapshots done');
  four.hear({ code: 'snapshot.finished', snapshot: 'snap-1', outcome: 'done', seconds: 60 });
  assert.equal(four.line(60, 80), 'total: 1 of 4 snapshots done, about 3 min 00 s left');
  assert.equal(four.line(60, 30), 'total: 1 of 4 snapshots done');
});
