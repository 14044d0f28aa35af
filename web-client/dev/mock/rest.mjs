// The REST interface of the mock, and the built page.
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { ago, known, people, userOf } from "./people.mjs";
import { rooms } from "./rooms.mjs";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const sessionOf = (p) => ({ token: p.id, expiresAt: new Date(Date.now() + 3_600_000).toISOString(), user: userOf(p) });

function details(world, callId) {
  for (const chat of world.chats) {
    const message = chat.messages.find(({ call }) => call?.callId === callId);
    if (!message) continue;
    const { call, senderId, createdAt } = message;
    const end = Date.parse(createdAt);
    const begin = new Date(end - call.duration * 1000).toISOString();
    const talked = call.duration > 0;
    const participants = chat.members.map(({ id }, i) => ({
      user: userOf(known(id)),
      status: talked ? "left" : id === senderId ? "left" : (call.mine ?? "missed"),
      joinedAt: talked ? begin : null,
      leftAt: talked ? createdAt : null,
      duration: talked ? Math.max(0, call.duration - i * 7) : 0,
      stays: [],
      quality:
        talked && i === 1
          ? [{ minute: begin, goodMs: 20_000, fairMs: 0, poorMs: 40_000, badMs: 0, reason: "loss" }]
          : [],
    }));
    const { type, status, endReason, duration } = call;
    const times = { createdAt: begin, startedAt: talked ? begin : null, endedAt: createdAt };
    return {
      callId,
      chatId: chat.id,
      type,
      status,
      endReason,
      initiatedBy: senderId,
      ...times,
      endedBy: senderId,
      duration,
      participants,
    };
  }
  return null;
}

function history(world, me, missedOnly) {
  const mine = world.chats.filter(({ members }) => members.some(({ id }) => id === me.id));
  const calls = mine.flatMap((chat) =>
    chat.messages
      .filter(({ kind }) => kind === "call")
      .map(({ call, senderId, createdAt }) => ({
        ...call,
        mine: senderId === me.id ? "left" : call.mine,
        chatId: chat.id,
        chatName: chat.name,
        initiator: userOf(known(senderId)),
        others: chat.members.filter(({ id }) => id !== senderId).map(userOf),
        othersCount: chat.members.length - 1,
        createdAt,
        startedAt: null,
        endedAt: createdAt,
        seen: true,
      })),
  );
  const wanted = calls.filter(({ mine: part }) => !missedOnly || part === "missed");
  return { calls: wanted.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1)), next: null, unseen: 0 };
}

/** `[status, body]` of an API request; null when it is none. */
export function api(world, method, path, body, token, query) {
  const [, , , kind, id, part] = path.split("/");
  if (!path.startsWith("/api/v1/")) return null;
  const me = people.find((p) => p.id === token);
  if (kind === "rooms" || kind === "invites") return rooms(world, me, [kind, id, part], body || {});
  if (kind === "server") {
    const users = people.map(({ login, name }) => ({ login, name, password: "ringhall" }));
    return [200, { name: "Ringhall", version: "0.1.0", setupRequired: false, demo: { users } }];
  }
  if (kind === "session" && method === "POST") {
    const who = people.find((p) => p.login === body.login && body.password === "ringhall");
    return who ? [200, sessionOf(who)] : [401, { code: "UNAUTHENTICATED" }];
  }
  if (kind === "chats" && part === "messages") {
    return [200, { messages: world.chats.find((c) => c.id === id)?.messages ?? [], more: false }];
  }
  if (kind === "calls" && !id) return [200, history(world, me, query.get("missed") === "true")];
  const call = kind === "calls" && id ? details(world, id) : null;
  return call ? [200, call] : [404, { code: "NOT_FOUND", asked: ago(0) }];
}

/** The file of the built page for a path: `[type, data]`, or null. */
export async function page(path) {
  const file = normalize(path === "/" || !extname(path) ? "/index.html" : path);
  const data = await readFile(join(DIST, file)).catch(() => null);
  return data && [TYPES[extname(file)] ?? "application/octet-stream", data];
}
