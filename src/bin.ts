#!/usr/bin/env node
// Kept to syntax that old versions of Node can parse, so that they can say what is wrong.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(`snap-to-s3 needs Node 24 or newer; this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else {
  import('./cli/main.ts').then(({ main }) => main(process));
}
