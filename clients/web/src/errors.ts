/** The server's codes by name (proto/martlet/v1/error.proto), and the client's own. */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "UNIMPLEMENTED"
  | "UNAVAILABLE"
  | "INTERNAL"
  | "CLOSED"
  | "TIMEOUT"
  | "OUTBOX_FULL";

/** Why something that was asked for did not happen. */
export class MartletError extends Error {
  override readonly name = "MartletError";
  /** Asking again unchanged may help. */
  readonly retryable: boolean;

  readonly code: ErrorCode;
  readonly field: string;
  readonly retryAfterMs: number;

  constructor(code: ErrorCode, message: string, field = "", retryAfterMs = 0) {
    super(message);
    this.code = code;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
    this.retryable = code === "UNAVAILABLE" || code === "RESOURCE_EXHAUSTED" || code === "TIMEOUT";
  }
}
