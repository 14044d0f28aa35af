// A stand-in for the server while working on the page: users, chats and rings in memory, no media. Serves the built page.
// dev/mock/ has the people, what is known of them, the commands and the REST interface.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { operations, Refusal } from "./mock/ops.mjs";
import { people, userOf } from "./mock/people.mjs";
import { api, page } from "./mock/rest.mjs";
import { RING_MS, World } from "./mock/world.mjs";

const LIMITS = { maxParticipants: 100, ringMaxMembers: 50, ringMs: RING_MS, maxMessageBytes: 8192 };

/** Starts on a free port of the loopback; `close` ends everything. */
export async function startMock(port = 0) {
  const world = new World();
  const ops = operations(world);
  const http = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, "http://mock");
    let body = "";
    for await (const chunk of req) body += chunk;
    const token = req.headers.authorization?.slice("Bearer ".length);
    const answer = api(world, req.method, pathname, body && JSON.parse(body), token, searchParams);
    if (answer) {
      res.writeHead(answer[0], { "content-type": "application/json" }).end(JSON.stringify(answer[1]));
      return;
    }
    const [type, data] = (await page(pathname)) ?? ["text/plain", "not found"];
    res.writeHead(type === "text/plain" ? 404 : 200, { "content-type": type }).end(data);
  });
  const wss = new WebSocketServer({ server: http, path: "/v1/ws", handleProtocols: () => "ringhall.v1" });
  wss.on("connection", (ws) => serve(world, ops, ws));
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  return {
    world,
    url: `http://127.0.0.1:${http.address().port}/`,
    close() {
      for (const client of wss.clients) client.terminate();
      http.close();
    },
  };
}

/** One connection: hello, then commands. */
function serve(world, ops, ws) {
  let me = null;
  let device = "";
  const send = (frame) => ws.send(JSON.stringify(frame));
  const greet = (hello) => {
    me = people.find((p) => p.id === hello.token);
    if (!me) return ws.close(4401);
    device = hello.device;
    world.sockets.set(me.id, new Set([...(world.sockets.get(me.id) ?? []), ws]));
    const seq = world.nextSeq(me.id);
    const session = { session: randomUUID(), user: userOf(me), epoch: 1, seq, replay: null };
    send({ t: "welcome", ...session, ice: [], relays: [], ways: [], limits: LIMITS });
    send({ t: "ev", seq, op: "snapshot", d: world.snapshot(me.id) });
    for (const id of world.sockets.keys())
      world.rt(id, "presence", { userId: me.id, presence: "online", lastSeen: null });
  };
  const carryOut = ({ id, op, d }) => {
    try {
      send({ t: "res", id, ok: true, d: ops[op]?.(me, device, d) ?? {} });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      send({ t: "res", id, ok: false, err: error.wire });
    }
  };
  ws.on("message", (data) => {
    const frame = JSON.parse(String(data));
    if (frame.t === "hello") greet(frame);
    else if (frame.t === "req" && me) carryOut(frame);
  });
  ws.on("close", () => {
    const left = me && world.sockets.get(me.id);
    left?.delete(ws);
    if (left?.size === 0) world.sockets.delete(me.id);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(`${(await startMock(8090)).url} – anybody's password is ringhall`);
