#!/usr/bin/env -S node --max-semi-space-size=1
// Little room for young objects: data passes through in buffers outside of the heap, which are given back only when
// young objects are collected. It saves 60 MiB of memory, and a third of the processor time of downloads: V8 looks through
// all old objects each time that it sees 64 MiB of such buffers.
// Kept to syntax that old versions of Node can parse, so that they can say what is wrong.
import { writeSync } from 'node:fs';
import { VERSION } from './version.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
// Connections go through proxies from 24.5 on.
if (major < 24 || (major === 24 && minor < 5)) {
  process.stderr.write(`snap-to-s3 needs Node 24.5 or newer; this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else if (process.argv.length === 3 && process.argv[2] === '--version') {
  printVersion();
} else {
  runMain();
}

function runMain() {
  import('./cli/main.ts').then(({ main }) => main(process));
}

/** Without loading the rest of the program, unless nobody can read it: that is reported like every loss of output. */
function printVersion() {
  try {
    writeSync(process.stdout.fd, `${VERSION}\n`);
  } catch {
    runMain();
  }
}
