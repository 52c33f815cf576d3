/** Machines are emulated where KVM is there and does not work. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { accelerator } from '../support/emulator.ts';
import { temporaryDirectory } from '../support/lab.ts';

test('a QEMU that aborts with KVM emulates', async (t) => {
  const directory = temporaryDirectory(t);
  const stub = (name: string, withKvm: string): string => {
    const path = join(directory, name);
    writeFileSync(path, `#!/bin/sh\ncase "$*" in *"-accel kvm"*) ${withKvm};; esac\n`, { mode: 0o755 });
    return path;
  };
  const env = { PATH: process.env['PATH'] ?? '' };
  assert.equal(await accelerator(stub('aborts', "echo 'failed to set MSR 0x345' >&2; kill -ABRT $$"), env), 'tcg');
  assert.equal(await accelerator(stub('refuses', 'exit 1'), env), 'tcg');
  assert.equal(await accelerator(stub('works', 'read -r line && [ "$line" = quit ]'), env), 'kvm');
});
