import type { Command, MediaSource, UserId } from "../protocol/index.ts";

/** What one does to others in a call. Each is a command; the server decides whether it is allowed (`FORBIDDEN`). */
export class Moderation {
  constructor(
    private readonly callId: string,
    private readonly send: (command: Command) => Promise<unknown>,
  ) {}

  /** Rings one more person into the call; anybody in it may. */
  async invite(userId: UserId): Promise<void> {
    await this.send({ op: "invite", d: { callId: this.callId, userId } });
  }

  /** Removes somebody; only a moderator can bring them back, by an invitation. */
  async kick(userId: UserId): Promise<void> {
    await this.send({ op: "kick", d: { callId: this.callId, userId } });
  }

  /** Silences somebody until it is lifted by {@link unmute}; the server enforces it. */
  async mute(userId: UserId, source: MediaSource = "mic"): Promise<void> {
    await this.send({ op: "mute", d: { callId: this.callId, userId, source } });
  }

  async unmute(userId: UserId, source: MediaSource = "mic"): Promise<void> {
    await this.send({ op: "unmute", d: { callId: this.callId, userId, source } });
  }

  /** A locked call lets nobody in but those who are admitted. */
  async lock(locked: boolean): Promise<void> {
    await this.send({ op: locked ? "lock" : "unlock", d: { callId: this.callId } });
  }

  /** Lets one person in who waits. */
  async admit(userId: UserId): Promise<void> {
    await this.send({ op: "admit", d: { callId: this.callId, userId } });
  }

  /** Turns somebody away who waits; they may knock again. */
  async deny(userId: UserId): Promise<void> {
    await this.send({ op: "deny", d: { callId: this.callId, userId } });
  }

  async lowerHand(userId: UserId): Promise<void> {
    await this.send({ op: "lower_hand", d: { callId: this.callId, userId } });
  }
}
