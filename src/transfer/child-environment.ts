/**
 * The environment of child processes.
 *
 * Tools read settings from their environment that change their output: TAR_OPTIONS adds options to every tar,
 * ZSTD_CLEVEL and LZ4_CLEVEL override levels, POSIXLY_CORRECT changes formats, BLKID_FILE, MTOOLSRC, MKE2FS_CONFIG and
 * PERL5OPT name files with further settings, and NODE_OPTIONS loads code. No list of such variables is complete, so
 * tools get only the variables below.
 */
import { searchPathOf } from '../lib/search-path.ts';

/** They locate libraries and the user's files, and let the gpg agent ask for a passphrase. */
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
  // The directory of Node's compile cache. It only affects the speed.
  'NODE_COMPILE_CACHE',
  // Marks the processes of one test run, so that the tests can find them.
  'SNAP_TO_S3_TEST_RUN',
];

/** English output and UTC times, independent of the user's locale and time zone. */
const FIXED = { LC_ALL: 'C', LANGUAGE: '', TZ: 'UTC' };

/** The environment of tools. It contains nothing that changes their output, and no credentials. */
export const toolEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...only(PASSED, env),
  PATH: searchPathOf(env),
  ...FIXED,
});

/**
 * The environment of our own processes that call AWS. They need the credentials, proxies and certificates of this one.
 */
export const ownEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...env,
  PATH: searchPathOf(env),
  ...FIXED,
});

const only = (names: readonly string[], env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
