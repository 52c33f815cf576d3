/**
 * The environment of child processes.
 *
 * Tools read settings from their environment that change what they write: TAR_OPTIONS adds options to every tar,
 * ZSTD_CLEVEL and LZ4_CLEVEL override levels, POSIXLY_CORRECT changes formats, BLKID_FILE, MTOOLSRC, MKE2FS_CONFIG and
 * PERL5OPT name files that are obeyed, NODE_OPTIONS loads code. No list of such variables is complete, so children get
 * only the variables named here.
 */
import { searchPathOf } from '../lib/search-path.ts';

/** Where libraries are found, where a user's files are, and how gpg's agent asks for a passphrase. */
const PASSED = [
  'LD_LIBRARY_PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'TMPDIR',
  'GNUPGHOME',
  'GPG_TTY',
  'TERM',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'PINENTRY_USER_DATA',
  // Where Node keeps compiled code; only speed depends on it.
  'NODE_COMPILE_CACHE',
  // Marks the processes of one run, for whoever looks for them.
  'SNAP_TO_S3_TEST_RUN',
];

/** Output in English, times in UTC, whatever the user's locale and time zone are. */
const FIXED = { LC_ALL: 'C', LANGUAGE: '', TZ: 'UTC' };

/** What stock tools find in their environment: nothing that changes what they write, and no credentials. */
export const toolEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...only(PASSED, env),
  PATH: searchPathOf(env),
  ...FIXED,
});

/**
 * For a process of this program's own that calls AWS: it needs this process's credentials, proxies and certificates.
 */
export const ownEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...env,
  PATH: searchPathOf(env),
  ...FIXED,
});

const only = (names: readonly string[], env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
