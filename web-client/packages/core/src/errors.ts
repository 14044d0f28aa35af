import type { ErrorCode, WireError } from "./protocol/index.ts";

/** What only this side can know: no connection, no answer in time, the client was closed. */
export type LocalErrorCode = "OFFLINE" | "TIMEOUT" | "CLOSED";

/** Why something was refused. `message` is for developers; a page finds its own words by `code`. */
export class RinghallError extends Error {
  override readonly name = "RinghallError";

  constructor(
    readonly code: ErrorCode | LocalErrorCode,
    message: string,
    /** Milliseconds to wait before trying again; 0 when waiting does not help. */
    readonly retryAfterMs = 0,
  ) {
    super(message);
  }

  static fromWire(error: WireError | undefined): RinghallError {
    if (!error) return new RinghallError("INTERNAL", "The server refused without saying why.");
    return new RinghallError(error.code, error.message, error.retryAfterMs ?? 0);
  }
}

/** Why a microphone, camera or screen could not be had. */
export type DeviceProblem =
  /** The person, or a remembered choice, said no. */
  | "denied"
  /** The operating system or a policy forbids it. */
  | "blocked"
  /** Another program holds it. */
  | "in_use"
  /** There is none. */
  | "missing"
  /** The page is not on https or localhost, so the browser offers none. */
  | "insecure"
  /** Anything else. */
  | "unknown";

/** Sorts what getUserMedia and getDisplayMedia throw into what a person can act on. */
export function deviceProblem(error: unknown): DeviceProblem {
  const { name, message } = error as { name?: string; message?: string };
  switch (name) {
    case "NotAllowedError":
      // Chromium and Firefox both say "system" when it was the operating system and not the person who refused.
      return /system|policy/i.test(message ?? "") ? "blocked" : "denied";
    case "SecurityError":
      return "blocked";
    case "NotReadableError":
    case "AbortError":
    case "TrackStartError":
      return "in_use";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "TypeError":
    case "InsecureContextError":
      return "insecure";
    default:
      return "unknown";
  }
}
