import { expect, test } from "vitest";
import { Connection } from "./connection.ts";
import type { RinghallError } from "./errors.ts";
import type { ErrorCode, ServerFrame } from "./protocol/index.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { FakeServer } from "./testing/fake-server.ts";

/** The golden frames that the server's own tests read too. */
const examples = import.meta.glob<{ default: Record<string, unknown> }>(
  "../../../../signaling/protocol-examples/*.json",
  {
    eager: true,
  },
);
const named = (kind: string) =>
  Object.entries(examples)
    .map(([path, { default: frame }]) => [path.split("/").at(-1) ?? path, frame] as const)
    .filter(([name]) => name.startsWith(`${kind}-`));

function online() {
  const server = new FakeServer();
  const connection = new Connection({ open: server.open, clock: new FakeClock(), device: "tab", token: () => "t" });
  const seen: unknown[] = [];
  connection.on("event", ({ op, d }) => seen.push({ op, d }));
  connection.on("realtime", ({ op, d }) => seen.push({ op, d }));
  connection.connect();
  server.accept();
  return { server, connection, seen };
}

test.each([...named("event"), ...named("realtime")])("%s reaches the page with its op and fields", (_name, frame) => {
  const { server, seen } = online();
  server.socket.receive(frame as unknown as ServerFrame);
  expect(seen).toEqual([{ op: frame["op"], d: frame["d"] }]);
});

test("there are examples to read", () => {
  expect(named("event").length).toBeGreaterThan(8);
  expect(named("realtime").length).toBeGreaterThan(10);
});

test.each(named("command"))("%s is sent as the server expects it", (_name, frame) => {
  const { server, connection } = online();
  const { op, d } = frame as { op: "leave_call"; d: { callId: string } };
  connection.send({ op, d }).catch(() => {});
  const { id, ...rest } = server.socket.last(op);
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(rest).toEqual({ t: "req", op, d });
  connection.close();
});

test.each(named("error"))("%s is an error with the server's code and wait", async (_name, frame) => {
  const { server, connection } = online();
  const result = connection.send({ op: "leave_call", d: { callId: "c" } }).catch((error: RinghallError) => error);
  const { err } = frame as { err: { code: ErrorCode; message: string; retryAfterMs: number } };
  server.socket.receive({ ...frame, id: server.socket.last("leave_call").id } as unknown as ServerFrame);
  expect(await result).toMatchObject(err);
  connection.close();
});

test.each(named("result"))("%s is what the command is answered with", async (_name, frame) => {
  const { server, connection } = online();
  const result = connection.send({ op: "leave_call", d: { callId: "c" } });
  server.socket.receive({ ...frame, id: server.socket.last("leave_call").id } as unknown as ServerFrame);
  expect(await result).toEqual(frame["d"]);
  connection.close();
});

/** After which codes there is nothing to come back for. */
const FINAL = ["close-auth.json", "close-removed.json", "close-replaced.json"];

test.each(named("close"))("after %s the page comes back, or knows that it need not", (name, { code }) => {
  const { server, connection } = online();
  server.socket.drop(code as number);
  expect(connection.state).toBe(FINAL.includes(name) ? "stopped" : "waiting");
  connection.close();
});

test("every kind of example was read", () => {
  expect(named("error")).toHaveLength(20);
  expect(named("close")).toHaveLength(6);
  expect(named("result")).toHaveLength(5);
});
