// A stand-in for the server while working on the page: users, chats and rings in memory, no media. Serves the built page.
// The people called bots accept every call at once, so that a full grid can be looked at by one person.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const RING_MS = 30_000;

const person = (login, name) => ({ id: `u-${login}`, name, avatar: null, login });
export const people = [
  person("ivan", "Иван Иванов"),
  person("maria", "Мария Петрова"),
  person("sergey", "Сергей Смирнов"),
  person("anna", "Анна Кузнецова"),
];
const bots = [
  person("olena", "Олена Шевченко"),
  person("james", "James Carter"),
  person("lin", "Lin Wei"),
  person("priya", "Priya Raman"),
  person("tomas", "Tomás Ortega"),
  person("aiko", "Aiko Mori"),
  person("noah", "Noah Lindqvist"),
];
const everybody = [...people, ...bots];
const userOf = ({ id, name, avatar }) => ({ id, name, avatar });
const memberOf = (p, i) => ({ ...userOf(p), role: i === 0 ? "owner" : "member" });

/** Starts on a free port of the loopback; `close` ends everything. */
export async function startMock(port = 0) {
  const calls = new Map();
  const sockets = new Map();
  const seqs = new Map();
  const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
  const text = (chatId, sender, content, minutes) => ({
    id: randomUUID(),
    chatId,
    senderId: `u-${sender}`,
    kind: "text",
    content,
    call: null,
    createdAt: ago(minutes),
  });
  const past = (chatId, sender, call, minutes) => ({
    id: randomUUID(),
    chatId,
    senderId: `u-${sender}`,
    kind: "call",
    content: "",
    call: { callId: randomUUID(), type: "video", endReason: null, duration: 0, mine: "left", ...call },
    createdAt: ago(minutes),
  });
  const chats = [
    {
      id: "c-direct",
      type: "direct",
      name: null,
      members: [people[0], people[1]].map(memberOf),
      messages: [
        text("c-direct", "ivan", "Мария, привет! Посмотрела макеты?", 1600),
        text("c-direct", "maria", "Да, отличная работа. Пара вопросов по второму экрану — проще голосом.", 1590),
        past("c-direct", "ivan", { status: "ended", endReason: "hangup", duration: 225 }, 1585),
        text("c-direct", "ivan", "Спасибо! Исправил и выложил новую версию.", 190),
        past("c-direct", "maria", { status: "rejected", endReason: "timeout", mine: "missed", type: "audio" }, 64),
        text("c-direct", "maria", "Звонила, перезвони, как освободишься 🙂", 62),
        text("c-direct", "ivan", "Сейчас", 3),
      ],
    },
    {
      id: "c-group",
      type: "group",
      name: "4 отдел",
      members: people.map(memberOf),
      messages: [
        text("c-group", "sergey", "Коллеги, планёрка в 11:00, ссылки не нужны — звоню прямо отсюда.", 240),
        past("c-group", "sergey", { status: "ended", endReason: "last_left", duration: 1935 }, 200),
        text("c-group", "anna", "Протокол положила в общую папку.", 150),
        text("c-group", "anna", "Если что-то упустила, пишите.", 149),
      ],
    },
    {
      id: "c-bots",
      type: "group",
      name: "Product launch",
      members: [people[0], ...bots].map(memberOf),
      messages: [
        text("c-bots", "james", "Numbers for the launch page are in. Can we walk through them?", 35),
        text("c-bots", "priya", "Yes, give me five minutes.", 31),
      ],
    },
    {
      id: "c-sergey",
      type: "direct",
      name: null,
      members: [people[0], people[2]].map(memberOf),
      messages: [text("c-sergey", "sergey", "Договор подписали, можно начинать.", 3000)],
    },
  ];

  const online = (id) => sockets.has(id) || bots.some((b) => b.id === id && b.login !== "noah");
  const nextSeq = (id) => {
    seqs.set(id, (seqs.get(id) ?? 0) + 1);
    return seqs.get(id);
  };
  const to = (id, frame) => {
    for (const ws of sockets.get(id) ?? []) ws.send(JSON.stringify(frame));
  };
  const ev = (id, op, d) => to(id, { t: "ev", seq: nextSeq(id), op, d });
  const rt = (id, op, d) => to(id, { t: "rt", n: 1, op, d });
  const now = () => new Date().toISOString();

  const activeCall = (call, id) =>
    call && {
      callId: call.id,
      type: call.type,
      status: call.status,
      count: call.in.size,
      mine: call.in.has(id) ? "joined" : "invited",
      myDevice: call.in.get(id)?.device ?? null,
      initiatedBy: call.by,
      createdAt: call.createdAt,
      startedAt: call.startedAt,
    };
  const viewOf = (chat, id) => {
    const { messages, ...rest } = chat;
    const live = [...calls.values()].find((c) => c.chat === chat);
    return { ...rest, activeCall: live ? activeCall(live, id) : null, lastMessage: messages.at(-1) ?? null, unread: 0 };
  };
  const entry = (call, id) => {
    const p = everybody.find((known) => known.id === id);
    const seat = call.in.get(id);
    return {
      ...userOf(p),
      status: seat ? "joined" : "ringing",
      moderator: id === call.by,
      sources: seat?.sources ?? { mic: false, camera: false, screen: false, screenAudio: false, mutedBy: null },
      hand: null,
    };
  };
  const everyoneIn = (call, tell) => {
    for (const { id } of call.chat.members) tell(id);
  };
  const roster = (call) => ({
    callId: call.id,
    chatId: call.chat.id,
    status: call.status,
    type: call.type,
    startedAt: call.startedAt,
    participants: [...call.in.keys(), ...[...call.rung].filter((id) => !call.in.has(id))].map((id) => entry(call, id)),
  });
  const joined = (call, id, op = "call_participant_joined") => {
    const d = {
      callId: call.id,
      userId: id,
      userName: everybody.find((p) => p.id === id).name,
      timestamp: now(),
      participant: entry(call, id),
    };
    for (const other of call.in.keys()) rt(other, op, d);
  };
  const updated = (call, over = false) =>
    everyoneIn(call, (id) =>
      rt(id, "call_updated", { chatId: call.chat.id, activeCall: over ? null : activeCall(call, id) }),
    );
  const sit = (call, id, device, sources = {}) => {
    call.in.set(id, {
      device,
      sources: { mic: true, camera: false, screen: false, screenAudio: false, mutedBy: null, ...sources },
    });
    call.rung.delete(id);
    if (call.status === "ringing" && id !== call.by) {
      call.status = "ongoing";
      call.startedAt = now();
    }
  };
  const end = (call, status, reason, by) => {
    if (!calls.delete(call.id)) return;
    clearTimeout(call.timer);
    const duration = call.startedAt ? Math.round((Date.now() - Date.parse(call.startedAt)) / 1000) : 0;
    const name = everybody.find((p) => p.id === by)?.name ?? null;
    const message = {
      id: randomUUID(),
      chatId: call.chat.id,
      senderId: call.by,
      kind: "call",
      content: "",
      createdAt: now(),
      call: { callId: call.id, type: call.type, status, endReason: reason, duration, mine: "left" },
    };
    call.chat.messages.push(message);
    everyoneIn(call, (id) => {
      ev(id, "call_ended", {
        callId: call.id,
        chatId: call.chat.id,
        status,
        reason,
        endedBy: by,
        userName: name,
        duration,
        timestamp: now(),
      });
      ev(id, "message", message);
    });
    updated(call, true);
  };
  const bind = (call, id) => {
    const slots = [];
    let audio = 4;
    for (const other of call.in.keys())
      if (other !== id && audio < 9)
        slots.push({
          mid: String(audio++),
          userId: other,
          source: "mic",
          csrc: 1,
          layer: 0,
          paused: false,
          reason: null,
        });
    for (const { mid, participant, source } of call.in.get(id)?.intents ?? []) {
      const live = call.in.get(participant)?.sources[source];
      slots.push({ mid, userId: participant, source, csrc: 1, layer: 2, paused: !live, reason: live ? null : "muted" });
    }
    rt(id, "bindings", { callId: call.id, slots });
  };

  const ops = {
    start_call(me, ws, { chatId, type }) {
      const chat = chats.find((c) => c.id === chatId);
      const live = [...calls.values()].find((c) => c.chat === chat);
      if (live) return { outcome: "exists", callId: live.id, status: live.status };
      const call = {
        id: randomUUID(),
        chat,
        type,
        by: me.id,
        status: "ringing",
        createdAt: now(),
        startedAt: null,
        in: new Map(),
        rung: new Set(chat.members.map((m) => m.id)),
      };
      calls.set(call.id, call);
      sit(call, me.id, ws.device);
      call.timer = setTimeout(() => end(call, "rejected", "timeout", null), RING_MS);
      const created = {
        callId: call.id,
        chatId,
        roomName: "r",
        type,
        device: ws.device,
        participants: [...call.rung],
        timestamp: now(),
      };
      ev(me.id, "call_created", created);
      for (const id of call.rung)
        ev(id, "incoming_call", { ...created, initiator: userOf(me), ringMsLeft: RING_MS, silent: false });
      rt(me.id, "roster", roster(call));
      const coming = bots.filter((b) => call.rung.has(b.id) && online(b.id));
      coming.forEach((bot, i) => {
        setTimeout(
          () => {
            if (!calls.has(call.id)) return;
            sit(call, bot.id, "bot", { camera: i !== 2, mic: i !== 1 });
            ev(me.id, "call_accepted", { callId: call.id, userId: bot.id, userName: bot.name, timestamp: now() });
            joined(call, bot.id);
            rt(me.id, "speakers", { callId: call.id, users: [coming[0].id] });
            updated(call);
          },
          200 + 100 * i,
        );
      });
      return { outcome: "created", ...created };
    },
    ring_ack(me, _ws, { callId }) {
      const call = calls.get(callId);
      if (call) rt(call.by, "call_ringing", { callId, userId: me.id, userName: me.name, timestamp: now() });
      return { outcome: "done" };
    },
    accept_call(me, ws, { callId }) {
      const call = calls.get(callId);
      if (!call) return { outcome: "noop", callId, status: "ended" };
      clearTimeout(call.timer);
      sit(call, me.id, ws.device);
      everyoneIn(call, (id) => ev(id, "call_accepted", { callId, userId: me.id, userName: me.name, timestamp: now() }));
      joined(call, me.id);
      rt(me.id, "roster", roster(call));
      updated(call);
      return { outcome: "joined", callId, status: call.status };
    },
    reject_call(me, _ws, { callId, reason }) {
      const call = calls.get(callId);
      if (!call) return { outcome: "noop" };
      call.rung.delete(me.id);
      ev(call.by, "call_rejected", { callId, userId: me.id, userName: me.name, reason, timestamp: now() });
      if (call.rung.size === 0 && call.status === "ringing") end(call, "rejected", reason, null);
      return { outcome: "done" };
    },
    leave_call(me, _ws, { callId }) {
      const call = calls.get(callId);
      if (!call) return { outcome: "noop" };
      call.in.delete(me.id);
      if (call.status === "ringing") end(call, "cancelled", "caller_cancelled", me.id);
      else if (call.chat.type === "direct" || ![...call.in.keys()].some((id) => sockets.has(id)))
        end(call, "ended", "hangup", me.id);
      else {
        for (const id of call.in.keys())
          rt(id, "call_participant_left", {
            callId,
            userId: me.id,
            userName: me.name,
            status: "left",
            timestamp: now(),
          });
        updated(call);
      }
      return { outcome: "done" };
    },
    end_call(me, _ws, { callId }) {
      const call = calls.get(callId);
      if (call)
        end(
          call,
          call.status === "ringing" ? "cancelled" : "ended",
          call.status === "ringing" ? "caller_cancelled" : "hangup",
          me.id,
        );
      return { outcome: "done" };
    },
    mute: (me, _ws, d) => source(me, d, false),
    unmute: (me, _ws, d) => source(me, d, true),
    media_offer(me, _ws, { callId, offerId }) {
      const call = calls.get(callId);
      if (call) setTimeout(() => rt(me.id, "media_answer", { callId, offerId, sdp: "v=0" }), 30);
      return { outcome: "done" };
    },
    intents(me, _ws, { callId, slots }) {
      const call = calls.get(callId);
      const seat = call?.in.get(me.id);
      if (seat) {
        seat.intents = slots;
        bind(call, me.id);
      }
      return { outcome: "done" };
    },
    send_message(me, _ws, { chatId, content }) {
      const chat = chats.find((c) => c.id === chatId);
      const message = {
        id: randomUUID(),
        chatId,
        senderId: me.id,
        kind: "text",
        content,
        call: null,
        createdAt: now(),
      };
      chat.messages.push(message);
      for (const { id } of chat.members) ev(id, "message", message);
      return message;
    },
  };
  ops.join_call = ops.accept_call;
  function source(me, { callId, source: what }, on) {
    const call = calls.get(callId);
    const seat = call?.in.get(me.id);
    if (!seat) return { outcome: "noop" };
    seat.sources = { ...seat.sources, [what]: on };
    joined(call, me.id, "participant_updated");
    for (const id of call.in.keys()) bind(call, id);
    return { outcome: "done" };
  }

  const json = (res, status, body) =>
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const sessionOf = (p) => ({
    token: p.id,
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    user: userOf(p),
  });
  const http = createServer(async (req, res) => {
    const url = new URL(req.url, "http://mock");
    let body = "";
    for await (const chunk of req) body += chunk;
    if (url.pathname === "/api/v1/server") {
      return json(res, 200, {
        name: "Ringhall",
        version: "0.1.0",
        setupRequired: false,
        demo: { users: people.map(({ login, name }) => ({ login, name, password: "ringhall" })) },
      });
    }
    if (url.pathname === "/api/v1/session") {
      const { login, password } = JSON.parse(body);
      const who = people.find((p) => p.login === login && password === "ringhall");
      return who ? json(res, 200, sessionOf(who)) : json(res, 401, { code: "UNAUTHENTICATED" });
    }
    const match = /^\/api\/v1\/chats\/([^/]+)\/messages$/.exec(url.pathname);
    if (match) return json(res, 200, { messages: chats.find((c) => c.id === match[1])?.messages ?? [], more: false });
    const path = normalize(url.pathname === "/" || !extname(url.pathname) ? "/index.html" : url.pathname);
    const data = await readFile(join(DIST, path)).catch(() => null);
    if (!data) return json(res, 404, { code: "NOT_FOUND" });
    res.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(data);
  });

  const wss = new WebSocketServer({ server: http, path: "/v1/ws", handleProtocols: () => "ringhall.v1" });
  wss.on("connection", (ws) => {
    let me = null;
    ws.on("message", (data) => {
      const frame = JSON.parse(String(data));
      if (frame.t === "hello") {
        me = people.find((p) => p.id === frame.token);
        if (!me) return ws.close(4401);
        ws.device = frame.device;
        sockets.set(me.id, new Set([...(sockets.get(me.id) ?? []), ws]));
        const seq = nextSeq(me.id);
        ws.send(
          JSON.stringify({
            t: "welcome",
            session: randomUUID(),
            user: userOf(me),
            epoch: 1,
            seq,
            replay: null,
            ice: [],
            limits: { maxParticipants: 100, ringMaxMembers: 50, ringMs: RING_MS, maxMessageBytes: 8192 },
          }),
        );
        const mine = chats.filter((c) => c.members.some((m) => m.id === me.id));
        const d = {
          chats: mine.map((c) => viewOf(c, me.id)),
          presence: everybody.map((p) => ({
            userId: p.id,
            presence: online(p.id) ? "online" : "offline",
            lastSeen: online(p.id) ? null : ago(95),
          })),
          incoming: [],
        };
        ws.send(JSON.stringify({ t: "ev", seq, op: "snapshot", d }));
        for (const id of sockets.keys()) rt(id, "presence", { userId: me.id, presence: "online", lastSeen: null });
      } else if (frame.t === "req" && me) {
        const d = ops[frame.op]?.(me, ws, frame.d) ?? {};
        ws.send(JSON.stringify({ t: "res", id: frame.id, ok: true, d }));
      }
    });
    ws.on("close", () => {
      if (!me) return;
      const left = sockets.get(me.id);
      left?.delete(ws);
      if (left?.size === 0) sockets.delete(me.id);
    });
  });
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${http.address().port}/`,
    close() {
      for (const client of wss.clients) client.terminate();
      http.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(`${(await startMock(8090)).url} – anybody's password is ringhall`);
