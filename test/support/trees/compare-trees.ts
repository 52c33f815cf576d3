/** Compares everything that a tar can hold in two directory trees. Names are bytes and are not decoded. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readSync } from 'node:fs';

export interface Comparison {
  /** The number of entries of the first tree. */
  compared: number;
  list: string[];
}

export interface CompareOptions {
  /** Fields that a filesystem cannot keep. */
  ignore?: readonly Field[];
}

const FIELDS = [
  'type',
  'size',
  'mode',
  'owner',
  'group',
  'mtime',
  'target',
  'links',
  'device',
  'content',
  'xattrs',
] as const;
export type Field = (typeof FIELDS)[number];

type Entry = Record<Field, string>;

export async function compareTrees(first: string, second: string, options: CompareOptions = {}): Promise<Comparison> {
  const a = readTree(first);
  const b = readTree(second);
  const list: string[] = [];
  for (const [name, entry] of a) {
    const other = b.get(name);
    if (other) list.push(...differencesOf(name, entry, other, options.ignore ?? []));
    else list.push(`${show(name)}: only in the first`);
  }
  for (const name of b.keys()) if (!a.has(name)) list.push(`${show(name)}: only in the second`);
  return { compared: a.size, list };
}

const show = (name: string): string => JSON.stringify(name.slice(0, 200));

const differencesOf = (name: string, entry: Entry, other: Entry, ignored: readonly Field[]): string[] =>
  FIELDS.filter((field) => !ignored.includes(field) && entry[field] !== other[field]).map(
    (field) => `${show(name)}: ${field} ${entry[field].slice(0, 100)} / ${other[field].slice(0, 100)}`,
  );

const PRINTED = ['%P', '%y', '%s', '%m', '%U', '%G', '%T@', '%l', '%n', '%D:%i'];

/** Longer paths cannot be opened in one call. `find` reaches them step by step. */
const LONGEST_PATH = 4000;

/** Returns entries by name, whose bytes are decoded as Latin-1. Sockets are left out, because no archive has them. */
function readTree(directory: string): Map<string, Entry> {
  const format = `${PRINTED.join('\\0')}\\0`;
  const fields = bytesOf(['find', '.', '!', '-type', 's', '-printf', format], directory).split('\0');
  const entries = new Map<string, Entry>();
  const firstNames = new Map<string, string>();
  const names: string[] = [];
  for (let at = 0; at + PRINTED.length <= fields.length; at += PRINTED.length) {
    const [
      name = '',
      type = '',
      size = '',
      mode = '',
      owner = '',
      group = '',
      mtime = '',
      target = '',
      count = '',
      inode = '',
    ] = fields.slice(at, at + PRINTED.length);
    names.push(name);
    const path = pathOf(directory, name);
    const reachable = path.length < LONGEST_PATH;
    entries.set(name, {
      type,
      size: type === 'd' ? '' : size,
      mode,
      owner,
      group,
      mtime: mtime.replace(/0+$/, ''),
      target,
      links: type === 'd' || count === '1' ? '' : linkGroup(firstNames, inode, name),
      device: (type === 'b' || type === 'c') && reachable ? String(lstatSync(path).rdev) : '',
      content: type === 'f' && reachable ? hashOf(path) : '',
      xattrs: '',
    });
  }
  relabelLinks(entries);
  addXattrs(directory, names, entries);
  addLongContents(directory, entries);
  return entries;
}

const bytesOf = (argv: [string, ...string[]], cwd: string, input?: Buffer): string =>
  execFileSync(argv[0], argv.slice(1), {
    cwd,
    maxBuffer: 2 ** 30,
    env: { ...process.env, LC_ALL: 'C' },
    ...(input ? { input } : {}),
  }).toString('latin1');

const pathOf = (directory: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')]);

function linkGroup(groups: Map<string, string>, inode: string, name: string): string {
  groups.set(inode, [groups.get(inode) ?? '', name].sort().find((candidate) => candidate !== '') ?? name);
  return inode;
}

/** Devices and inode numbers differ between trees, so each group of hard links is identified by its smallest name. */
function relabelLinks(entries: Map<string, Entry>): void {
  const smallest = new Map<string, string>();
  for (const [name, { links }] of entries) {
    if (links !== '' && name < (smallest.get(links) ?? '\uffff')) smallest.set(links, name);
  }
  for (const entry of entries.values()) if (entry.links !== '') entry.links = smallest.get(entry.links) ?? '';
}

const buffer = Buffer.alloc(1024 * 1024);

function hashOf(path: Buffer): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

/** Adds extended attributes. Access control lists are among them. */
function addXattrs(directory: string, names: readonly string[], entries: Map<string, Entry>): void {
  const list = names.map((name) => `./${name}`).filter((name) => name.length < LONGEST_PATH);
  const input = Buffer.from(list.join('\0'), 'latin1');
  const dump = bytesOf(
    ['xargs', '-0', 'getfattr', '--no-dereference', '--dump', '--match=-', '--encoding=hex', '--'],
    directory,
    input,
  );
  for (const block of dump.split('\n\n')) {
    const [first = '', ...attributes] = block.split('\n');
    const entry = entries.get(unquote(first.replace(/^# file: /, '')).replace(/^\.\//, ''));
    if (entry)
      entry.xattrs = attributes
        .filter((line) => line !== '')
        .sort()
        .join(' ');
  }
}

/** getfattr escapes some bytes, for example as `\012`. */
const unquote = (text: string): string =>
  text.replace(/\\([0-7]{3}|\\)/g, (_all, code: string) =>
    code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
  );

function addLongContents(directory: string, entries: Map<string, Entry>): void {
  const pattern = `.{${LONGEST_PATH - directory.length - 1},}`;
  const find = ['find', '.', '-type', 'f', '-regextype', 'posix-extended', '-regex', pattern] as const;
  const names = bytesOf([...find, '-printf', '%P\\0'], directory)
    .split('\0')
    .filter((name) => name !== '');
  const hashes = bytesOf([...find, '-execdir', 'sha256sum', '--zero', '--', '{}', ';'], directory).split('\0');
  for (const [index, name] of names.entries()) {
    const entry = entries.get(name);
    if (entry) entry.content ||= hashes[index]?.split(' ')[0] ?? '';
  }
}
