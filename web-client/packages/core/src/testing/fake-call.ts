import { CallSession, type CallSessionOptions } from "../call/session.ts";
import type { Command, RosterEntry } from "../protocol/index.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { FakeDevices, FakeLinks } from "./fake-media.ts";

/** A video call in progress that this tab joins, on fakes alone; what a test looks at it brings itself. */
export function fakeCall(parts: Partial<CallSessionOptions>): CallSession {
  return new CallSession({
    callId: "call",
    chatId: "chat",
    type: "video",
    outgoing: false,
    me: "me",
    device: "tab",
    clock: new FakeClock(),
    devices: new FakeDevices(),
    openLink: new FakeLinks().open,
    ice: () => [],
    send: async <T>() => ({ outcome: "joined", status: "ongoing" }) as T,
    ...parts,
  });
}

/** One person of a roster. */
export const person = (id: string, status: RosterEntry["status"] = "joined"): RosterEntry => ({
  id,
  name: id,
  avatar: null,
  status,
  moderator: false,
  hand: null,
  sources: { mic: true, camera: false, screen: false, screenAudio: false, mutedBy: null },
});

/** A call on fakes, the commands that it sends, and what the server says to them. */
export class OneCall {
  clock = new FakeClock();
  links = new FakeLinks();
  devices = new FakeDevices();
  sent: Command[] = [];
  /** What a command is refused with. */
  refuse: (command: Command) => Error | null = () => null;
  session: CallSession;

  constructor(outgoing = false) {
    const { clock, devices, links } = this;
    const send = async <T>(command: Command) => {
      this.sent.push(command);
      const error = this.refuse(command);
      if (error) throw error;
      return { outcome: "joined", status: "ongoing" } as T;
    };
    this.session = fakeCall({ outgoing, clock, devices, openLink: links.open, send });
  }

  /** The fields of each command of this name so far. */
  ops(op: Command["op"]): Array<Record<string, unknown>> {
    return this.sent.filter((command) => command.op === op).map(({ d }) => d as never as Record<string, unknown>);
  }

  /** The newest offer. */
  offer(): Record<string, unknown> {
    return this.ops("media_offer").at(-1) ?? {};
  }

  answer(offerId: unknown, rest: object = { sdp: "answer" }): void {
    this.session.handleRealtime({
      op: "media_answer",
      d: { callId: "call", offerId: String(offerId), ...rest },
    });
  }

  joined(participant: RosterEntry): void {
    const { id: userId, name: userName } = participant;
    this.session.handleRealtime({
      op: "call_participant_joined",
      d: { callId: "call", userId, userName, timestamp: "", participant },
    });
  }

  /** In it, with media. */
  async connected(): Promise<void> {
    this.session.start({ mic: true, camera: true });
    await settle();
    this.answer(this.offer()["offerId"]);
    await settle();
    this.links.last.become("connected");
  }
}
