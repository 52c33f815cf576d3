/** Keeps the lab of a test so that the cause of a failure can be found. */
import assert from 'node:assert/strict';
import { labUp } from '../../lab/control/manage.ts';
import type { LabOptions } from '../../lab/index.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';

const CHOICES = ['failed', 'always'];

/** @param failed whether the test has failed. A failed subtest counts only if the test requests that. */
export function isLabKept(failed: boolean): boolean {
  const choice = process.env['SNAP_TO_S3_KEEP_LAB'];
  assert.ok(choice === undefined || CHOICES.includes(choice), `SNAP_TO_S3_KEEP_LAB is one of ${CHOICES.join(', ')}`);
  return choice === 'always' || (choice === 'failed' && failed);
}

export interface KeptLab {
  options: LabOptions;
  /** The directory of the test, which contains that of the lab. */
  directory: string;
  program: string;
  bucket: string;
}

/** Starts the lab again as a separate process with its state. Scripted faults are lost. */
export async function keepLab({ options, directory, program, bucket }: KeptLab): Promise<void> {
  const running = await labUp(options);
  const node = ['node', ...NODE_FLAGS, program].join(' ');
  const lines = [
    `the lab of this test is kept (process ${running.pid}); what the program had is in ${directory}`,
    `  eval "$(${node} lab env --directory ${options.directory})"`,
    `  ${node} list --bucket ${bucket}`,
    `  ${node} lab status --directory ${options.directory}`,
    `  ${node} lab down --directory ${options.directory} && rm -r ${directory}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
