/** Creates everything that Linux allows in a directory. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** The depth of nested directories with names of 100 letters. A path of 36 of them can still be opened in one call. */
const DEEP = 36;

/**
 * @param depth from 41 on, only programs that descend step by step reach the bottom. GNU tar stores it, but cannot
 * extract it.
 */
export async function makeNastyTree(directory: string, depth: number = DEEP): Promise<void> {
  mkdirSync(directory, { recursive: true });
  makeNames(directory);
  makeKinds(directory);
  makeAttributes(directory);
  makeDeepTree(directory, depth);
  await makeSocket(join(directory, 'socket'));
  makeTimes(directory);
}

function makeNames(directory: string): void {
  const names = [
    'new\nline',
    'tab\there',
    ' leading',
    'trailing ',
    '-dash',
    '*',
    'quo"te\'s',
    'back\\slash',
    'x'.repeat(255),
    'größe 日本 🎉',
    '..."',
    '\u0001control',
  ];
  for (const name of names) writeFileSync(join(directory, name), name);
  for (const bytes of [
    [0xff, 0xfe, 0x41],
    [0xe4, 0xf6, 0xfc],
    [0xc3, 0x28],
  ]) {
    writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(bytes)]), 'not UTF-8');
  }
}

function makeKinds(directory: string): void {
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('file'), 'content');
  writeFileSync(at('empty'), '');
  mkdirSync(at('empty-directory'));
  linkSync(at('file'), at('hard link'));
  linkSync(at('file'), at('another hard link'));
  symlinkSync('file', at('symlink'));
  symlinkSync('nowhere/'.repeat(120), at('long dangling symlink'));
  symlinkSync('/etc/passwd', at('absolute symlink'));
  execFileSync('mkfifo', [at('fifo')]);
  execFileSync('mknod', [at('character device'), 'c', '1', '3']);
  execFileSync('mknod', [at('block device'), 'b', '7', '200']);
  writeFileSync(at('sparse'), 'start');
  truncateSync(at('sparse'), 64 * 2 ** 20);
  writeFileSync(at('sparse'), 'middle', { flag: 'r+' });
  execFileSync('dd', [
    'if=/dev/urandom',
    `of=${at('sparse')}`,
    'bs=4096',
    'count=3',
    'seek=5000',
    'conv=notrunc',
    'status=none',
  ]);
}

function makeAttributes(directory: string): void {
  const at = (name: string): string => join(directory, name);
  for (const [name, mode] of [
    ['setuid', 0o4755],
    ['setgid', 0o2755],
    ['no rights', 0o000],
    ['all rights', 0o777],
  ] as const) {
    writeFileSync(at(name), name);
    chmodSync(at(name), mode);
  }
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
  writeFileSync(at('large owner'), '');
  lchownSync(at('large owner'), 4_000_000_001, 4_000_000_002);
  symlinkSync('x', at('owned symlink'));
  lchownSync(at('owned symlink'), 1234, 5678);
  writeFileSync(at('attributes'), 'x');
  execFileSync('setfattr', ['-n', 'user.comment', '-v', '0x00ff0a', at('attributes')]);
  execFileSync('setfattr', ['-n', 'user.long', '-v', 'v'.repeat(2000), at('attributes')]);
  execFileSync('setfattr', ['-n', 'trusted.secret', '-v', 'root only', at('attributes')]);
  // Names may contain any bytes, like those of Samba's streams. GNU tar quotes some of these.
  const names = ['user.a=b', 'user.a%3Db', 'user.100%', 'user.Größe: $DATA', 'user.back\\slash', 'user.new\nline'];
  for (const name of names) execFileSync('setfattr', ['-n', name, '-v', name, at('attributes')]);
  execFileSync('sh', ['-c', `setfattr -n "$(printf 'user.\\374\\200=')" "$1"`, 'sh', at('attributes')]);
  writeFileSync(at('capability'), 'x');
  // cap_net_bind_service+ep, as the kernel stores it (VFS_CAP_REVISION_2).
  execFileSync('setfattr', [
    '-n',
    'security.capability',
    '-v',
    '0x0100000200040000000000000000000000000000',
    at('capability'),
  ]);
  writeFileSync(at('acl'), 'x');
  execFileSync('setfacl', ['-m', 'u:1234:rw,g:5678:r,m::rw', at('acl')]);
  mkdirSync(at('default acl'));
  execFileSync('setfacl', ['-d', '-m', 'u:4321:rwx', at('default acl')]);
}

function makeDeepTree(directory: string, depth: number): void {
  const program =
    'use strict; chdir $ARGV[0] or die; for (1..$ARGV[1]) { mkdir "d" x 100 or die $!; chdir "d" x 100 or die $! } open(my $f, ">", "bottom") or die $!; print $f "deep"; close $f; $ARGV[1] <= 40 or system(qw(setfattr -n user.depth -v deep bottom)) == 0 or die;';
  execFileSync('perl', ['-e', program, directory, String(depth)]);
}

async function makeSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
  // Closing the server removes the socket. The copy stays, like a socket of a machine that ran during its snapshot.
  execFileSync('cp', ['--archive', path, `${path} left`]);
  execFileSync('setfattr', ['-n', 'trusted.label', '-v', 'of a socket', `${path} left`]);
  await new Promise((resolve) => server.close(resolve));
}

function makeTimes(directory: string): void {
  for (const [name, seconds] of [
    ['before 1970', -86_400.5],
    ['after 2038', 2 ** 31 + 0.25],
    ['nanoseconds', 1_500_000_000.123],
  ] as const) {
    const path = join(directory, name);
    writeFileSync(path, name);
    utimesSync(path, seconds, seconds);
  }
  execFileSync('touch', ['--date=2001-02-03 04:05:06.123456789', join(directory, 'nanoseconds')]);
  lutimesSync(join(directory, 'symlink'), 1_000_000_000, 1_000_000_000);
}
