// Installs what a command needs, then runs it with the Node version of this project.
//
//   node scripts/setup.mjs unit|demo|test COMMAND [ARGUMENT...]
//
// This is plain JavaScript without packages, because a new machine has no packages and perhaps an old Node.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Debian packages, by a file that each of them installs. Each group also needs the groups before it. PATH is not
 * searched, because another copy may shadow the file.
 */
const PACKAGES = {
  unit: {
    lz4: 'lz4',
    zstd: 'zstd',
    tar: 'tar',
    gpg: 'gnupg',
    getfattr: 'attr',
    perl: 'perl-base',
  },
  demo: {
    sfdisk: 'fdisk',
    losetup: 'mount',
    partx: 'util-linux',
    'mkfs.ext4': 'e2fsprogs',
    'mkfs.xfs': 'xfsprogs',
    getfacl: 'acl',
  },
  test: {
    'mkfs.btrfs': 'btrfs-progs',
    'mkfs.vfat': 'dosfstools',
    mcopy: 'mtools',
    'ntfs-3g': 'ntfs-3g',
    'grub-mount': 'grub-common',
    aws: 'awscli',
    jq: 'jq',
    dash: 'dash',
    '/usr/lib/python3/dist-packages/boto3/__init__.py': 'python3-boto3',
    restic: 'restic',
    tmux: 'tmux',
    strace: 'strace',
    fuser: 'psmisc',
    chromium: 'chromium',
    radosgw: 'radosgw',
    'ceph-mon': 'ceph-mon',
    'ceph-osd': 'ceph-osd',
    'ceph-authtool': 'ceph-common',
    'qemu-system-x86_64': 'qemu-system-x86',
    'grub-mkimage': 'grub-common',
    '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
    '/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi': 'grub-efi-amd64-bin',
    '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
  },
};

/** Number of attempts to fetch from the network, because a connection may stall. */
const ATTEMPTS = 4;

/** npm itself waits five minutes for a stalled connection, and does not retry a download that stalled in the middle. */
const NPM_STALL_MILLISECONDS = '60000';

const PLACES = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [group, command, ...rest] = process.argv.slice(2);

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

async function main() {
  if (process.platform !== 'linux') throw new Error('This needs Linux: volumes are real block devices.');
  if (process.getuid() !== 0 && group !== 'unit')
    throw new Error('This needs root, to attach and mount volumes: run it with sudo.');
  const groups = Object.keys(PACKAGES);
  if (!groups.includes(group)) throw new Error(`Usage: node scripts/setup.mjs ${groups.join('|')} COMMAND`);
  installPrograms(Object.assign({}, ...groups.slice(0, groups.indexOf(group) + 1).map((name) => PACKAGES[name])));
  installModules();
  process.exitCode = await runInProject(command, rest);
}

function installPrograms(programs) {
  const missing = Object.keys(programs).filter((program) => !isInstalled(program));
  if (missing.length === 0) return;
  const names = [...new Set(missing.map((program) => programs[program]))];
  if (!isInstalled('apt-get')) {
    throw new Error(`These programs are missing, and there is no apt-get to install them: ${missing.join(', ')}.`);
  }
  if (process.getuid() !== 0) throw new Error(`Programs are missing: run apt-get install ${names.join(' ')} as root.`);
  process.stdout.write(`installing: ${names.join(' ')}\n`);
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const retries = ['-o', `Acquire::Retries=${ATTEMPTS}`];
  runAgain('apt-get', [...retries, 'update', '-qq'], quiet);
  runAgain('apt-get', [...retries, 'install', '-y', '-qq', '--no-install-recommends', ...names], quiet);
}

/** Runs a command that fetches from the network, and repeats it if it fails. Its cache has what it fetched before. */
function runAgain(program, args, options) {
  for (let attempt = 1; ; attempt++) {
    try {
      execFileSync(program, args, options);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || error.status === null || error.code === 'ENOENT') throw error;
      process.stdout.write(`${program} failed, once more (${attempt + 1} of ${ATTEMPTS})\n`);
    }
  }
}

function isInstalled(program) {
  return program.startsWith('/') ? existsSync(program) : PLACES.some((place) => isExecutable(join(place, program)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Installs packages only if the lock file has changed. It does not use `npm ci`, which refuses a lock file without the
 * optional packages of other platforms. The versions still come from the lock file, which is not written.
 */
function installModules() {
  const stamp = join(root, 'node_modules', '.installed-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stdout.write('installing npm packages\n');
  runAgain('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { npm_config_fetch_timeout: NPM_STALL_MILLISECONDS, ...process.env },
  });
  writeFileSync(stamp, lock);
}

/** Puts the Node of the project first in PATH. Signals reach the command, which handles them. */
function runInProject(name, args) {
  const path = [join(root, 'node_modules', '.bin'), ...PLACES, process.env.PATH ?? ''].join(delimiter);
  const child = spawn(name, args, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: path } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}
