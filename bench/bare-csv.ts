/** Runs a CSV parser alone. It parses every row of a compressed file and discards the result. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import Papa from 'papaparse';

const [parser, path = ''] = process.argv.slice(2);
let rows = 0;
const count = () => {
  rows++;
};
const tell = () => process.stdout.write(`${rows}\n`);
const stream = createReadStream(path).pipe(createGunzip());
if (parser === 'papaparse') Papa.parse(stream, { step: count, complete: tell });
else
  stream
    .pipe(parse({ relax_column_count: true }))
    .on('data', count)
    .on('end', tell);
