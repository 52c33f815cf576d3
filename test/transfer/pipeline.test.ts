/** Chains of real processes: the first failure is reported, and no process survives. */
import assert from 'node:assert/strict';
import { closeSync, createReadStream, readdirSync, readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import type { SnapError } from '../../src/errors.ts';
import { type Stage, StageError, startPipeline } from '../../src/transfer/pipeline.ts';
import { closeAll, makePipe } from '../../src/transfer/pipes.ts';
import { startStage } from '../../src/transfer/process.ts';
import { runTool } from '../../src/transfer/run-tool.ts';

const never = new AbortController().signal;
const sh = (name: string, script: string): Stage => ({ name, argv: ['sh', '-c', script] });

const childrenNow = (): string[] =>
  readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(process.pid);
      } catch {
        return false;
      }
    });

const descriptors = (): number => readdirSync('/proc/self/fd').length;
// The first call makes further pipes in advance.
const first = await makePipe();
closeAll([first.readEnd, first.writeEnd]);
const before = descriptors();

after(() => {
  assert.deepEqual(childrenNow(), [], 'processes were left behind');
  assert.ok(descriptors() <= before + 2, `${descriptors() - before} descriptors were left open`);
});

async function drain(stages: Stage[], signal = never) {
  await using pipeline = await startPipeline(stages, { signal });
  const bytes = buffer(createReadStream('', { fd: pipeline.output, autoClose: true })).catch(() => Buffer.alloc(0));
  const [reports, output] = await Promise.all([pipeline.finished, bytes]);
  return { reports, output };
}

test('bytes pass through all stages, and the result is known afterwards', async () => {
  const { output, reports } = await drain([sh('first', 'printf hello; echo note >&2'), sh('second', 'tr a-z A-Z')]);
  assert.equal(output.toString(), 'HELLO');
  assert.deepEqual(reports, [
    { name: 'first', exitCode: 0, stderrTail: 'note\n' },
    { name: 'second', exitCode: 0, stderrTail: '' },
  ]);
});

const FAILURES: [string, Stage[], RegExp][] = [
  [
    'the first stage exits with 3',
    [sh('one', 'printf x; echo broken >&2; exit 3'), sh('two', 'cat')],
    /^one exited 3 \(broken\); two stopped$/,
  ],
  ['the last stage exits with 4', [sh('one', 'yes'), sh('two', 'head -c 10; exit 4')], /^two exited 4/],
  [
    'the middle stage is killed',
    [sh('one', 'yes'), sh('two', 'head -c 10 >/dev/null; kill -9 $$'), sh('three', 'cat')],
    /^two was killed by SIGKILL/,
  ],
  [
    'the first stage ends without an error after the second has failed',
    [sh('one', 'yes'), sh('two', 'exit 5'), sh('three', 'cat')],
    /^two exited 5/,
  ],
  [
    'the first stage closes its output and fails, which is noticed after the resulting failure of the second',
    [sh('one', 'trap "exit 6" TERM; exec >&-; while :; do :; done'), sh('two', 'cat >/dev/null; exit 7')],
    /^one exited 6/,
  ],
  [
    'a program is not installed',
    [sh('one', 'yes'), { name: 'two', argv: ['no-such-program'] }],
    /no-such-program is not installed/,
  ],
];

for (const [what, stages, message] of FAILURES) {
  test(what, async () => {
    await assert.rejects(drain(stages), (error: SnapError) => {
      assert.match(error.message, message);
      return true;
    });
  });
}

test('cancellation ends all stages, even those that ignore SIGTERM', async () => {
  const controller = new AbortController();
  const stubborn = sh('stubborn', 'trap "" TERM; echo ready >&2; exec 1>&-; while :; do sleep 0.05; done');
  const listening: Stage = { ...stubborn, onStderrLine: () => controller.abort(new Error('enough')) };
  await assert.rejects(drain([sh('one', 'yes'), listening], controller.signal), /enough/);
});

test('a failed stage is reported with its name and exit status', async () => {
  await assert.rejects(drain([sh('one', 'cat'), sh('two', 'echo "one exited 9" >&2; exit 4')]), (error: StageError) => {
    assert.ok(error instanceof StageError);
    assert.deepEqual([error.stage, error.outcome.exitCode, error.lastOutput], ['two', 4, 'one exited 9']);
    assert.equal(error.reason, 'two exited 4 (one exited 9)');
    assert.equal(error.message, `${error.reason}; one stopped`);
    return true;
  });
  await assert.rejects(drain([sh('one', 'kill -9 $$')]), (error: StageError) => error.outcome.exitCode === null);
});

test('all descendants of a stage end with it', async () => {
  const controller = new AbortController();
  const family: Stage = {
    ...sh('family', 'sleep 1000 & echo ready >&2; wait'),
    onStderrLine: () => controller.abort(new Error('enough')),
  };
  await assert.rejects(drain([family], controller.signal), /enough/);
  const survivors = (await runTool(['pgrep', '-f', '^sleep 1000$'], { allowedExitCodes: [0, 1] })).stdout;
  assert.equal(survivors, '');
});

test('tools: output, refused exit codes, time limits, input', async () => {
  assert.equal((await runTool(['cat'], { input: Buffer.from('in') })).stdout, 'in');
  await assert.rejects(runTool(['sh', '-c', 'echo why >&2; exit 2']), /sh exited 2 \(why\)/);
  assert.equal((await runTool(['sh', '-c', 'exit 2'], { allowedExitCodes: [2] })).exitCode, 2);
  await assert.rejects(runTool(['sleep', '100'], { within: 50 }), /sleep timed out/);
  await assert.rejects(runTool(['no-such-program']), /not installed/);
});

test('the caller still owns the input descriptor', async () => {
  const { openSync } = await import('node:fs');
  const input = openSync('/etc/hostname', 'r');
  await using pipeline = await startPipeline([sh('one', 'cat')], { signal: never, input });
  const bytes = await buffer(createReadStream('', { fd: pipeline.output }));
  await pipeline.finished;
  assert.equal(bytes.toString(), readFileSync('/etc/hostname', 'utf8'));
  closeSync(input);
});

test('if the system refuses to start a stage, those before it are ended and the reason is reported', async () => {
  const refused: Stage = { name: 'refused', argv: ['echo', 'x'.repeat(3_000_000)] };
  await assert.rejects(drain([sh('one', 'exec sleep 1000'), refused]), (error: SnapError) => {
    assert.equal(error.code, 'STAGE_FAILED');
    assert.match(error.message, /^echo could not be started: .*E2BIG/);
    return true;
  });
  await assert.rejects(runTool(refused.argv), /E2BIG/);
});

test('a permitted exit code is not an error', async () => {
  const { reports } = await drain([{ ...sh('one', 'exit 1'), allowedExitCodes: [0, 1] }]);
  assert.equal(reports[0]?.exitCode, 1);
  const killed = { ...sh('one', 'kill -9 $$'), allowedExitCodes: [0, 1] };
  await assert.rejects(drain([killed]), /one was killed by SIGKILL/);
});

test('no signal is sent to a process that has ended, because its number may be reused', async (t) => {
  const stage = startStage(['true'], { stdin: null, stdout: null });
  await stage.outcome;
  const kill = t.mock.method(process, 'kill');
  await stage.stop();
  assert.equal(kill.mock.callCount(), 0);
});

test('a process that cannot be signalled is waited for', async (t) => {
  const { readEnd, writeEnd } = await makePipe();
  const stage = startStage(['cat'], { stdin: readEnd, stdout: null });
  closeAll([readEnd]);
  t.mock.method(process, 'kill', () => {
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  });
  const stopped = stage.stop();
  closeAll([writeEnd]);
  await stopped;
  assert.equal((await stage.outcome).exitCode, 0);
});

test('background processes of a tool are not waited for, even if they hold its output open', async () => {
  const { stdout } = await runTool(['sh', '-c', 'setsid sleep 1000 & echo $!'], { within: 50 });
  process.kill(Number(stdout), 'SIGKILL');
});
