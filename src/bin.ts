#!/usr/bin/env -S node --max-semi-space-size=1
// The young generation is kept small because the data passes through buffers outside the heap, and V8 frees them only
// when it collects young objects. This saves 60 MiB of memory and a third of the CPU time of downloads: V8 marks all old
// objects whenever 64 MiB of such buffers have accumulated.
// This file uses only syntax that old versions of Node can parse, so that they can print the message below.
import { writeSync } from 'node:fs';
import { VERSION } from './version.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
// Node supports proxies for HTTP connections since 24.5.
if (major < 24 || (major === 24 && minor < 5)) {
  process.stderr.write(`snap-to-s3 needs Node 24.5 or newer; this is Node ${process.versions.node}\n`);
  process.exitCode = 1;
} else if (process.argv.length === 3 && process.argv[2] === '--version') {
  printVersion();
} else {
  runMain();
}

function runMain() {
  import('./cli/main.ts').then(({ main }) => main(process));
}

/** Does not load the rest of the program, unless the output fails: `main` reports lost output. */
function printVersion() {
  try {
    writeSync(process.stdout.fd, `${VERSION}\n`);
  } catch {
    runMain();
  }
}
