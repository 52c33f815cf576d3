/** The context for reading an archive. */
import type { ArchiveStore } from '../../cloud/ports.ts';
import type { Host } from '../../events.ts';

export interface ReadContext {
  store: ArchiveStore;
  host: Host;
  signal: AbortSignal;
  /** Number of ranges in flight. */
  streams: number;
  /** Session key for objects that are encrypted with gpg; `null` if the private key is in the keyring. */
  sessionKey: string | null;
}
