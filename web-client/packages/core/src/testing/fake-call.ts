import { CallSession, type CallSessionOptions } from "../call/session.ts";
import { FakeClock } from "./fake-clock.ts";
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
