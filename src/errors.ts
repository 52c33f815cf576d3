/**
 * The error type of the program.
 *
 * Every error that reaches a user is a `SnapError`. It has a code that scripts may rely on, one sentence that names the
 * snapshot, object or device and the state that it is in, and a hint that says what to do next. The original error is
 * kept as `cause` and not repeated in the message. `blame` decides what is printed: only a `bug` shows a stack.
 * Messages start in lower case, contain the offending value, and end without a full stop. They contain no secrets,
 * because they end up in logs.
 */

/** Exit codes are part of the public interface, because scripts branch on them. docs/scripting.md lists them. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  someFailed: 3,
  nothingToDo: 10,
  claimedElsewhere: 11,
  differs: 12,
  thawing: 13,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export type Blame = 'user' | 'cloud' | 'host' | 'bug';

/** For each error code, who has to act and the exit code. docs/errors.md explains them. */
export const ERROR_CODES = {
  USAGE: { blame: 'user', exit: EXIT.usage },
  NOT_SUPPORTED_HERE: { blame: 'host', exit: EXIT.failed },
  TOOL_MISSING: { blame: 'host', exit: EXIT.failed },
  NOTHING_TO_DO: { blame: 'user', exit: EXIT.nothingToDo },
  NOT_FOUND: { blame: 'user', exit: EXIT.nothingToDo },
  AMBIGUOUS: { blame: 'user', exit: EXIT.failed },
  INTERRUPTED: { blame: 'user', exit: EXIT.interrupted },
  ACCESS_DENIED: { blame: 'user', exit: EXIT.failed },
  CREDENTIALS: { blame: 'user', exit: EXIT.failed },
  CLOUD_CALL: { blame: 'cloud', exit: EXIT.failed },
  BUCKET: { blame: 'user', exit: EXIT.failed },
  NOT_ON_INSTANCE: { blame: 'user', exit: EXIT.failed },
  SNAPSHOT_UNUSABLE: { blame: 'user', exit: EXIT.failed },
  VOLUME_FAILED: { blame: 'cloud', exit: EXIT.failed },
  ATTACH_STUCK: { blame: 'cloud', exit: EXIT.failed },
  NO_DEVICE_NAME: { blame: 'host', exit: EXIT.failed },
  WRONG_DEVICE: { blame: 'host', exit: EXIT.failed },
  DEVICE_NOT_FOUND: { blame: 'host', exit: EXIT.failed },
  WAIT_TIMEOUT: { blame: 'cloud', exit: EXIT.failed },
  PARTITION_TABLE: { blame: 'host', exit: EXIT.failed },
  TARGET: { blame: 'user', exit: EXIT.failed },
  MOUNT_REFUSED: { blame: 'host', exit: EXIT.failed },
  UNREADABLE: { blame: 'host', exit: EXIT.failed },
  MOUNT_FAILED: { blame: 'host', exit: EXIT.failed },
  STAGE_FAILED: { blame: 'host', exit: EXIT.failed },
  UPLOAD_FAILED: { blame: 'cloud', exit: EXIT.failed },
  DOWNLOAD_FAILED: { blame: 'cloud', exit: EXIT.failed },
  OBJECT_ARCHIVED: { blame: 'user', exit: EXIT.failed },
  THAWING: { blame: 'cloud', exit: EXIT.thawing },
  UNFINISHED: { blame: 'user', exit: EXIT.failed },
  MANIFEST: { blame: 'user', exit: EXIT.failed },
  OUTPUT: { blame: 'host', exit: EXIT.failed },
  REPORT: { blame: 'user', exit: EXIT.failed },
  DIFFERS: { blame: 'user', exit: EXIT.differs },
  COMPARE_FAILED: { blame: 'host', exit: EXIT.failed },
  COUNT_MISMATCH: { blame: 'host', exit: EXIT.failed },
  NOT_LOCKED: { blame: 'cloud', exit: EXIT.failed },
  GPG_KEY: { blame: 'user', exit: EXIT.usage },
  CLAIMED: { blame: 'user', exit: EXIT.claimedElsewhere },
  CLAIM_LOST: { blame: 'cloud', exit: EXIT.claimedElsewhere },
  ARCHIVE_EXISTS: { blame: 'user', exit: EXIT.failed },
  CLEANUP_FAILED: { blame: 'host', exit: EXIT.failed },
  BUG: { blame: 'bug', exit: EXIT.failed },
} as const satisfies Record<string, { blame: Blame; exit: ExitCode }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorDetails {
  /** What to do next, as an imperative sentence. */
  hint?: string;
  cause?: unknown;
}

export class SnapError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'SnapError';
    this.code = code;
    this.hint = details.hint;
  }

  get blame(): Blame {
    return ERROR_CODES[this.code].blame;
  }

  get exitCode(): ExitCode {
    return ERROR_CODES[this.code].exit;
  }
}

/** The abort reason when a person or the machine stops the run. */
export class Interrupted extends SnapError {
  readonly signalName: string;
  /** Whether the instance is being stopped. If not, a person stopped the run and wants its work undone. */
  readonly isShutdown: boolean;

  constructor(signalName: string, isShutdown = false) {
    super('INTERRUPTED', `stopped by ${signalName}`);
    this.signalName = signalName;
    this.isShutdown = isShutdown;
  }
}

/** Returns a thrown value as an `Error`. */
export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** Returns a thrown value as a `SnapError`. Every expected error is one already, so any other error is a bug. */
export function asSnapError(thrown: unknown): SnapError {
  if (thrown instanceof SnapError) return thrown;
  const error = asError(thrown);
  return new SnapError('BUG', error.message, {
    cause: error,
    hint: 'this is a bug: report it with the lines above and the output of --version',
  });
}
