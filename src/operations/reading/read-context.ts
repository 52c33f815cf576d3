/** What reading an archive needs. */
import type { ArchiveStore } from '../../cloud/ports.ts';
import type { Host } from '../../events.ts';

export interface ReadContext {
  store: ArchiveStore;
  host: Host;
  signal: AbortSignal;
  /** Number of ranges in flight. */
  streams: number;
  /** For objects encrypted with gpg; `null`: the keyring has the private key. */
  sessionKey: string | null;
}
