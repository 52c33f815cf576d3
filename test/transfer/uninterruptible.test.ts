/** Processes that sleep uninterruptibly in the kernel are left behind, and reported. */
import assert from 'node:assert/strict';
import { closeSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { rootFailure } from '../../src/lib/disposal.ts';
import { startPipeline } from '../../src/transfer/pipeline.ts';
import { runTool } from '../../src/transfer/run-tool.ts';
import { temporaryDirectory } from '../support/lab.ts';
import { until } from '../support/until.ts';

/** A process that writes to a frozen filesystem sleeps until the filesystem is unfrozen, and ignores all signals. */
async function onFrozenDisk(t: TestContext, use: (directory: string) => Promise<void>): Promise<void> {
  const image = join(temporaryDirectory(t), 'disk.img');
  writeFileSync(image, '');
  truncateSync(image, 32 * 2 ** 20);
  await run(['mkfs.ext4', '-q', '-F', image]);
  await withDevice(image, null, { readOnly: false }, (device) =>
    withFilesystem(device, 'ext4', {}, async (directory) => {
      await run(['fsfreeze', '--freeze', directory]);
      try {
        await use(directory);
      } finally {
        await run(['fsfreeze', '--unfreeze', directory]);
        await until(async () => (await run(['fuser', '--mount', directory], [0, 1])).trim() === '');
      }
    }),
  );
}

test('a tool, a canceled tool and a pipeline stage that do not end after SIGKILL are reported', async (t) => {
  await onFrozenDisk(t, async (directory) => {
    const [late, tool, stage] = ['late', 'tool', 'stage'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await Promise.all([lateTool(late), canceledTool(tool), canceledStage(stage)]);
  });
});

const lateTool = (file: string) =>
  assert.rejects(
    runTool(['touch', file], { within: 100 }),
    /^ToolError: touch timed out, and process \d+ is still running although it was killed/,
  );

async function canceledTool(file: string): Promise<void> {
  const reason = new Error('canceled');
  const signal = abortedOnceStarted(reason, file);
  await assert.rejects(runTool(['touch', file], { signal }), (thrown) => assertLeft(thrown, reason, file));
}

/** Returns a signal that is aborted once `touch` has been started for this file. */
function abortedOnceStarted(reason: Error, file: string): AbortSignal {
  const controller = new AbortController();
  void until(async () => isStarted(file)).then(() => controller.abort(reason));
  return controller.signal;
}

const isStarted = (file: string): boolean =>
  readdirSync('/proc').some((entry) => {
    try {
      return readFileSync(join('/proc', entry, 'cmdline'), 'utf8') === `touch\0${file}\0`;
    } catch {
      return false;
    }
  });

async function canceledStage(file: string): Promise<void> {
  const reason = new Error('canceled');
  const signal = abortedOnceStarted(reason, file);
  const use = async () => {
    await using pipeline = await startPipeline([{ name: 'touch', argv: ['touch', file] }], { signal });
    closeSync(pipeline.output);
    await pipeline.finished;
  };
  await assert.rejects(use(), (thrown) => assertLeft(thrown, reason, file));
}

function assertLeft(thrown: unknown, reason: Error, file: string): true {
  const { failure, cleanupFailures } = rootFailure(thrown);
  assert.equal(failure, reason);
  assert.equal(cleanupFailures.length, 1);
  assert.match(String(cleanupFailures[0]), new RegExp(`could not clean up process \\d+ \\(touch ${file}\\)`));
  return true;
}
