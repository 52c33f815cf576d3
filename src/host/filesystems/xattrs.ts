/** Reads the extended attributes of a mounted filesystem with getfattr, including access control lists. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { SnapError } from '../../errors.ts';
import { textOfBytes } from '../../lib/byte-text.ts';
import { startPipeline } from '../../transfer/pipeline.ts';

export interface AttributedFile {
  /** Relative to the root; empty for the root itself. */
  path: Buffer;
  xattrs: Map<string, Buffer>;
}

/**
 * Yields the files that have attributes. getfattr does not support paths beyond PATH_MAX, so deeper files are left out.
 * @param onTooLong is called when a file was left out because of its path.
 * @throws SnapError `STAGE_FAILED`
 */
export async function* readXattrs(
  root: string,
  signal: AbortSignal,
  onTooLong: () => void,
): AsyncGenerator<AttributedFile> {
  const argv = ['getfattr', '--recursive', '--physical', '--no-dereference', '--absolute-names', '--dump', '--match=-'];
  let isTooLong = false;
  let hasSupport = true;
  let complaint: string | null = null;
  const onStderrLine = (line: string) => {
    hasSupport &&= line !== `getfattr: ${root}${UNSUPPORTED}`;
    if (!hasSupport && line.endsWith(UNSUPPORTED)) return;
    if (/: File name too long$/.test(line)) {
      isTooLong = true;
      onTooLong();
    } else complaint ??= line;
  };
  const stage = {
    name: 'getfattr',
    argv: [...argv, '--encoding=hex', '--', root],
    allowedExitCodes: [0, LEFT_OUT],
    onStderrLine,
  };
  await using pipeline = await startPipeline([stage], { signal });
  const lines = createInterface({ input: createReadStream('', { fd: pipeline.output, encoding: 'latin1' }) });
  let current: AttributedFile | null = null;
  for await (const line of lines) {
    if (line.startsWith('# file: '))
      current = { path: pathBelow(root, line.slice('# file: '.length)), xattrs: new Map() };
    else if (line !== '' && current) addXattr(line, current.xattrs);
    else if (current) {
      yield current;
      current = null;
    }
  }
  const [report] = await pipeline.finished;
  if (report?.exitCode === 0 || ((isTooLong || !hasSupport) && complaint === null)) return;
  throw new SnapError('STAGE_FAILED', `getfattr exited ${report?.exitCode} (${complaint ?? 'no error message'})`, {
    hint: 'resolve the cause that getfattr reports, then run the same command again',
  });
}

/** How a driver responds for every file of a filesystem without attributes, such as most of squashfs. */
const UNSUPPORTED = ': Operation not supported';

/** Exit code of getfattr if it could not read some files. It has reported which. */
const LEFT_OUT = 1;

/** Unquotes a path such as `a\012b` and makes it relative to the root. */
const pathBelow = (root: string, quoted: string): Buffer => unquoted(quoted).subarray(Buffer.byteLength(root) + 1);

function unquoted(quoted: string): Buffer {
  const text = quoted.replace(/\\([0-7]{3}|\\)/g, (_all, code: string) =>
    code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(text, 'latin1');
}

/** Parses `user.comment=0x00ff`. An attribute without a value is empty. In names, `=` and others are quoted. */
function addXattr(line: string, xattrs: Map<string, Buffer>): void {
  const at = line.indexOf('=');
  const name = at < 0 ? line : line.slice(0, at);
  xattrs.set(textOfBytes(unquoted(name)), Buffer.from(at < 0 ? '' : line.slice(at + 3), 'hex'));
}
