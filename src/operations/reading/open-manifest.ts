/** Decrypts the sealed manifest of an encrypted archive. Its readable part has no more facts than the objects. */
import { decryptCommand } from '../../archive/cipher.ts';
import { decodeAnyManifest, decodeManifest } from '../../archive/decode-manifest.ts';
import { culpritOf } from '../../archive/decryption-failure.ts';
import type { Manifest } from '../../archive/manifest.ts';
import { POINT_FORMAT, type PointManifest } from '../../archive/points/point-manifest.ts';
import { SnapError } from '../../errors.ts';
import { configurationProblem, decryptionOptions, invalidConfiguration } from '../../lib/gpg-configuration.ts';
import { lastRelevantLine } from '../../transfer/outcome.ts';
import { environmentOfTools } from '../../transfer/process.ts';
import { runTool, ToolError } from '../../transfer/run-tool.ts';
import type { Archive } from './find-archive.ts';
import type { FoundPoint } from './point/found-point.ts';

/**
 * The sealed part is untrusted input, too: anybody can encrypt for a public key.
 * @param within time limit for gpg in milliseconds; somebody may have to type a passphrase.
 * @returns the manifest itself if nothing is sealed.
 * @throws SnapError `GPG_KEY` with the failure of gpg as its cause; `MANIFEST`.
 */
export async function openManifest(
  { key, content }: NonNullable<Archive['manifest']>,
  snapshotId: string,
  signal: AbortSignal,
  within?: number,
): Promise<Manifest> {
  if (content.sealed === null || content.sealed === undefined) return content;
  return decodeManifest(await decrypt(key, content.sealed, signal, within), key, snapshotId);
}

/** The same for a point. @throws SnapError `GPG_KEY`, `MANIFEST` */
export async function openPointManifest(
  { key, content }: FoundPoint,
  signal: AbortSignal,
  within?: number,
): Promise<PointManifest> {
  if (content.sealed === null) return content;
  const body = await decrypt(key, content.sealed, signal, within);
  const opened = decodeAnyManifest(body, key, content.snapshot.id);
  if (opened.format !== POINT_FORMAT) throw damagedPart(key, new Error('it is the manifest of another archive'));
  return opened;
}

async function decrypt(key: string, sealed: string, signal: AbortSignal, within?: number): Promise<Buffer> {
  const input = Buffer.from(sealed, 'base64');
  const options = { input, signal, ...(within === undefined ? {} : { within }) };
  const command = decryptCommand(decryptionOptions(environmentOfTools()), null);
  const opened = await runTool(command, options).catch((cause) => {
    signal.throwIfAborted();
    const said = cause instanceof ToolError ? cause.stderr : '';
    const problem = configurationProblem(lastRelevantLine(said));
    if (problem !== null) throw invalidConfiguration(problem);
    if (culpritOf(said.split('\n'), []) === 'message') throw damagedPart(key, cause);
    throw new SnapError('GPG_KEY', 'the manifest, which describes the partitions of the disk, cannot be decrypted', {
      hint: 'import the private key of a recipient into the keyring or agent; a session key decrypts only one object',
      cause,
    });
  });
  return opened.stdoutBytes;
}

const damagedPart = (key: string, cause: unknown): SnapError =>
  new SnapError('MANIFEST', `${key}: its sealed part is damaged and cannot be decrypted`, {
    hint: 'the data objects may be intact: restore them with --to-dir or --to-file; while the snapshot exists, migrate it again with --replace',
    cause,
  });
