// What the mock server knows, and how it tells.
import { randomUUID } from "node:crypto";
import { ago, bots, chats, everybody, known, userOf } from "./people.mjs";

export const RING_MS = 30_000;
export const now = () => new Date().toISOString();
const SILENT = { mic: false, camera: false, screen: false, screenAudio: false, mutedBy: null };

export class World {
  chats = chats();
  calls = new Map();
  /** user id -> open WebSockets */
  sockets = new Map();
  #seqs = new Map();
  #read = new Map();

  online(id) {
    return this.sockets.has(id) || bots.some((bot) => bot.id === id && bot.login !== "noah");
  }

  nextSeq(id) {
    this.#seqs.set(id, (this.#seqs.get(id) ?? 0) + 1);
    return this.#seqs.get(id);
  }

  #to(id, frame) {
    for (const ws of this.sockets.get(id) ?? []) ws.send(JSON.stringify(frame));
  }

  ev(id, op, d) {
    this.#to(id, { t: "ev", seq: this.nextSeq(id), op, d });
  }

  rt(id, op, d) {
    this.#to(id, { t: "rt", n: 1, op, d });
  }

  callOf(chat) {
    return [...this.calls.values()].find((call) => call.chat === chat);
  }

  seatOf(id) {
    return [...this.calls.values()].find((call) => call.in.has(id));
  }

  activeCall(call, id) {
    return {
      callId: call.id,
      type: call.type,
      status: call.status,
      count: call.in.size,
      mine: call.in.has(id) ? "joined" : (call.out.get(id) ?? "invited"),
      myDevice: call.in.get(id)?.device ?? null,
      locked: call.locked,
      waiting: call.waiting.has(id),
      initiatedBy: call.by,
      createdAt: call.createdAt,
      startedAt: call.startedAt,
    };
  }

  chatView(chat, id) {
    const { messages, lobby = false, ...rest } = chat;
    const live = this.callOf(chat);
    const seen = this.#read.get(`${id} ${chat.id}`) ?? messages.length;
    return {
      ...rest,
      lobby,
      activeCall: live ? this.activeCall(live, id) : null,
      lastMessage: messages.at(-1) ?? null,
      unread: messages.slice(seen).filter(({ senderId }) => senderId !== id).length,
    };
  }

  markRead(id, chat) {
    this.#read.set(`${id} ${chat.id}`, chat.messages.length);
    this.ev(id, "chat_updated", this.chatView(chat, id));
  }

  say(chat, message) {
    for (const { id } of chat.members) {
      const key = `${id} ${chat.id}`;
      if (!this.#read.has(key)) this.#read.set(key, chat.messages.length);
    }
    const full = { id: randomUUID(), chatId: chat.id, content: "", call: null, createdAt: now(), ...message };
    chat.messages.push(full);
    for (const { id } of chat.members) this.ev(id, "message", full);
    return full;
  }

  entry(call, id) {
    const seat = call.in.get(id);
    const hands = [...call.in].filter(([, { hand }]) => hand).sort(([, a], [, b]) => a.hand - b.hand);
    return {
      ...userOf(known(id)),
      status: seat ? "joined" : "ringing",
      moderator: this.moderates(call, id),
      sources: seat?.sources ?? SILENT,
      hand: hands.findIndex(([who]) => who === id) + 1 || null,
    };
  }

  moderates(call, id) {
    const role = call.chat.members.find((member) => member.id === id)?.role;
    return id === call.by || role === "owner" || role === "admin";
  }

  roster(call) {
    const rung = [...call.rung].filter((id) => !call.in.has(id));
    return {
      callId: call.id,
      chatId: call.chat.id,
      status: call.status,
      type: call.type,
      startedAt: call.startedAt,
      locked: call.locked,
      participants: [...call.in.keys(), ...rung].map((id) => this.entry(call, id)),
    };
  }

  /** Tells those in the call about one of them. */
  show(call, id, op = "participant_updated") {
    const d = {
      callId: call.id,
      userId: id,
      userName: known(id).name,
      timestamp: now(),
      participant: this.entry(call, id),
    };
    for (const other of call.in.keys()) this.rt(other, op, d);
  }

  showAll(call) {
    for (const id of call.in.keys()) this.show(call, id);
  }

  updated(call, over = false) {
    for (const { id } of call.chat.members) {
      this.rt(id, "call_updated", { chatId: call.chat.id, activeCall: over ? null : this.activeCall(call, id) });
    }
  }

  /** Gives somebody the seat. */
  sit(call, id, device, sources = {}) {
    call.in.set(id, { device, sources: { ...SILENT, mic: true, ...sources } });
    call.rung.delete(id);
    if (call.status === "ringing" && id !== call.by) {
      clearTimeout(call.timer);
      call.status = "ongoing";
      call.startedAt = now();
    }
    this.show(call, id, "call_participant_joined");
    this.rt(id, "roster", this.roster(call));
    if (this.moderates(call, id) && call.in.size === 1 && call.chat.type === "room")
      this.rt(id, "call_alone", { callId: call.id, endsInMs: 180_000 });
    this.updated(call);
  }

  /** Takes it away, and ends the call with the last person who is no bot. */
  stand(call, id, status) {
    if (!call.in.delete(id)) return;
    call.out.set(id, status);
    const d = { callId: call.id, userId: id, userName: known(id).name, status, timestamp: now() };
    for (const other of call.in.keys()) this.rt(other, "call_participant_left", d);
    if (call.chat.type === "direct" || ![...call.in.keys()].some((other) => this.sockets.has(other)))
      return this.end(call, "ended", "hangup", id);
    this.showAll(call);
    this.updated(call);
  }

  end(call, status, reason, by) {
    if (!this.calls.delete(call.id)) return;
    clearTimeout(call.timer);
    const duration = call.startedAt ? Math.round((Date.now() - Date.parse(call.startedAt)) / 1000) : 0;
    const d = { callId: call.id, chatId: call.chat.id, status, reason, endedBy: by, duration, timestamp: now() };
    for (const { id } of call.chat.members) {
      this.ev(id, "call_ended", { ...d, userName: known(by)?.name ?? null });
      if (call.rung.has(id)) {
        const initiator = userOf(known(call.by));
        this.ev(id, "call_missed", { callId: call.id, chatId: call.chat.id, initiator, timestamp: now() });
      }
    }
    const mine = call.rung.size > 0 ? "missed" : "left";
    const summary = { callId: call.id, type: call.type, status, endReason: reason, duration, mine };
    this.say(call.chat, { senderId: call.by, kind: "call", call: summary });
    this.updated(call, true);
  }

  snapshot(id) {
    const mine = this.chats.filter((chat) => chat.members.some((member) => member.id === id));
    return {
      chats: mine.map((chat) => this.chatView(chat, id)),
      presence: everybody.map((p) => ({
        userId: p.id,
        presence: this.seatOf(p.id) ? "in_call" : this.online(p.id) ? "online" : "offline",
        lastSeen: this.online(p.id) ? null : ago(95),
      })),
      incoming: [],
      missedCalls: id === "u-ivan" ? 1 : 0,
    };
  }
}
