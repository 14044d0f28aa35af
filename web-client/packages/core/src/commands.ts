import type { Clock } from "./clock.ts";
import { RinghallError } from "./errors.ts";
import type { Command, Response } from "./protocol/index.ts";

/** A command nobody answers is given up after this; a person has long looked away. */
const COMMAND_TIMEOUT_MS = 30_000;

interface Pending {
  frame: string;
  keep: boolean;
  resolve(result: unknown): void;
  reject(error: RinghallError): void;
  cancelTimeout(): void;
}

/**
 * Commands on their way. Each has an id made here, and is repeated with the same id after a reconnect until it is
 * answered, so that the server carries it out once however often the connection breaks.
 */
export class Commands {
  #pending = new Map<string, Pending>();

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Makes a command and returns its frame and its result. With `keep: false` it is not repeated over a reconnect but
   * fails with OFFLINE: its sender knows better what to say then (a newer offer, newer intents).
   */
  add(command: Command, keep: boolean): { frame: string; result: Promise<unknown> } {
    const id = crypto.randomUUID();
    const frame = JSON.stringify({ t: "req", id, op: command.op, d: command.d });
    const result = new Promise<unknown>((resolve, reject) => {
      const cancelTimeout = this.clock.after(COMMAND_TIMEOUT_MS, () => {
        this.#pending.delete(id);
        reject(new RinghallError("TIMEOUT", `The server did not answer ${command.op}.`));
      });
      this.#pending.set(id, { frame, keep, resolve, reject, cancelTimeout });
    });
    return { frame, result };
  }

  /** Settles what `response` answers; an answer to nothing (already settled) is ignored. */
  answer(response: Response): void {
    const pending = this.#take(response.id);
    if (!pending) return;
    if (response.ok) pending.resolve(response.d);
    else pending.reject(RinghallError.fromWire(response.err));
  }

  /** The connection is gone: fails what must not be repeated. */
  disconnected(): void {
    for (const [id, pending] of this.#pending) {
      if (!pending.keep) this.#take(id)?.reject(new RinghallError("OFFLINE", "The connection was lost."));
    }
  }

  /** Frames to send again on a new connection, in their first order. */
  repeats(): string[] {
    return [...this.#pending.values()].map((pending) => pending.frame);
  }

  /** Fails everything. */
  close(error: RinghallError): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.cancelTimeout();
    return pending;
  }
}
