/** Papa Parse alone: every row of a compressed CSV is taken apart, and nothing is done with it. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import Papa from 'papaparse';

let rows = 0;
const stream = createReadStream(process.argv[2] ?? '').pipe(createGunzip());
Papa.parse(stream, {
  step: () => {
    rows++;
  },
  complete: () => process.stdout.write(`${rows}\n`),
});
