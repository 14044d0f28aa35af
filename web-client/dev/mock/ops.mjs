// The commands of the protocol, as far as a page needs them to look right.
import { randomUUID } from "node:crypto";
import { bots, known, userOf } from "./people.mjs";
import { decide, tellWaiting, wait } from "./rooms.mjs";
import { now, RING_MS } from "./world.mjs";

/** Slots of the page's first offer begin here: four m-lines are for sending. */
const FIRST_AUDIO_MID = 4;
const AUDIO_SLOTS = 5;

export class Refusal extends Error {
  constructor(code, retryAfterMs = 0) {
    super(code);
    this.wire = { code, message: code, retryAfterMs };
  }
}

/** `op -> (me, device, d) => result` over a world. */
export function operations(world) {
  const find = (id) => world.calls.get(id);
  const done = { outcome: "done" };

  function bind(call, id) {
    const slot = (mid, userId, source, more) => ({
      mid,
      userId,
      source,
      csrc: 1,
      layer: 2,
      paused: false,
      reason: null,
      ...more,
    });
    const voices = [...call.in.keys()].filter((other) => other !== id).slice(0, AUDIO_SLOTS);
    const slots = voices.map((other, i) => slot(String(FIRST_AUDIO_MID + i), other, "mic"));
    for (const { mid, participant, source } of call.in.get(id)?.intents ?? []) {
      const live = call.in.get(participant)?.sources[source];
      slots.push(slot(mid, participant, source, { paused: !live, reason: live ? null : "muted" }));
    }
    world.rt(id, "bindings", { callId: call.id, slots });
  }

  function ring(call, ids) {
    for (const id of ids) {
      call.rung.add(id);
      const busy = world.seatOf(id);
      const participants = [...call.rung];
      world.ev(id, "incoming_call", {
        callId: call.id,
        chatId: call.chat.id,
        roomName: "r",
        type: call.type,
        initiator: userOf(known(call.by)),
        participants,
        timestamp: now(),
        ringMsLeft: RING_MS,
        silent: busy !== undefined,
      });
    }
    const coming = bots.filter((bot) => call.rung.has(bot.id) && world.online(bot.id));
    coming.forEach((bot, i) => {
      setTimeout(
        () => {
          if (!find(call.id)) return;
          world.sit(call, bot.id, "bot", { camera: i % 4 !== 2, mic: i % 3 === 0 });
          const d = { callId: call.id, userId: bot.id, userName: bot.name, timestamp: now() };
          world.ev(call.by, "call_accepted", d);
          world.rt(call.by, "speakers", { callId: call.id, users: [coming[0].id] });
        },
        200 + 40 * i,
      );
    });
  }

  function seat(me, device, { callId, takeover, leave, wait: patient }, accept) {
    const call = find(callId);
    if (!call) return { outcome: "noop", callId, status: "ended" };
    if (call.out.get(me.id) === "kicked") throw new Refusal("KICKED");
    const held = call.in.get(me.id);
    const shut = (call.locked || call.chat.lobby) && !world.moderates(call, me.id) && !call.admitted.has(me.id);
    if (!held && shut && !patient) throw new Refusal("ROOM_LOCKED");
    if (!held && shut) return wait(world, call, me, device);
    if (held && held.device !== device && !takeover) throw new Refusal("ANSWERED_ELSEWHERE");
    if (held && held.device !== device) world.ev(me.id, "seat_moved", { callId, device });
    const other = leave && find(leave);
    if (other) world.stand(other, me.id, "left");
    const d = { callId, userId: me.id, userName: me.name, timestamp: now() };
    if (accept) for (const { id } of call.chat.members) world.ev(id, "call_accepted", d);
    world.ev(me.id, "call_answered_elsewhere", { callId, device });
    world.sit(call, me.id, device);
    return { outcome: "joined", callId, status: call.status };
  }

  function source(me, { callId, source: what, userId = me.id }, on) {
    const call = find(callId);
    const target = call?.in.get(userId);
    if (!target) return { outcome: "noop" };
    if (userId === me.id && on && what === "mic" && target.sources.mutedBy) throw new Refusal("FORBIDDEN");
    if (userId !== me.id) {
      moderate(call, me);
      target.sources.mutedBy = on ? null : me.id;
      world.rt(userId, "muted", { callId, source: what, muted: !on, by: userOf(me) });
    }
    if (userId === me.id || !on) target.sources = { ...target.sources, [what]: on };
    world.show(call, userId);
    for (const id of call.in.keys()) bind(call, id);
    return done;
  }

  function moderate(call, me) {
    if (!call || !world.moderates(call, me.id)) throw new Refusal("FORBIDDEN");
    return call;
  }

  function lock(me, callId, locked) {
    const call = moderate(find(callId), me);
    call.locked = locked;
    for (const id of call.in.keys()) world.rt(id, "call_locked", { callId, locked, by: userOf(me) });
    world.updated(call);
    return done;
  }

  function hand(me, { callId, userId = me.id }, up) {
    const call = find(callId);
    const target = call?.in.get(userId);
    if (target) target.hand = up ? Date.now() : 0;
    if (target) world.showAll(call);
    return done;
  }

  return {
    start_call(me, device, { chatId, type, invitees, leave }) {
      const chat = world.chats.find((c) => c.id === chatId);
      const live = world.callOf(chat);
      if (live) return { outcome: "exists", callId: live.id, status: live.status };
      const owner = chat.members.find(({ id }) => id === me.id)?.role === "owner";
      if (chat.type === "room" && chat.lobby && !owner) throw new Refusal("ROOM_LOCKED");
      const other = leave && find(leave);
      if (other) world.stand(other, me.id, "left");
      const call = {
        id: randomUUID(),
        chat,
        type,
        by: me.id,
        status: chat.type === "room" ? "ongoing" : "ringing",
        createdAt: now(),
        startedAt: chat.type === "room" ? now() : null,
        locked: false,
        waiting: new Map(),
        admitted: new Set(),
        in: new Map(),
        rung: new Set(),
        out: new Map(),
      };
      world.calls.set(call.id, call);
      const room = chat.type === "room";
      const callees = room ? [] : (invitees ?? chat.members.map(({ id }) => id).filter((id) => id !== me.id));
      const created = { callId: call.id, chatId, roomName: "r", type, device, participants: callees, timestamp: now() };
      world.ev(me.id, "call_created", created);
      if (!room) call.timer = setTimeout(() => world.end(call, "rejected", "timeout", null), RING_MS);
      ring(call, callees);
      world.sit(call, me.id, device);
      return { outcome: "created", ...created };
    },
    ring_ack(me, _device, { callId }) {
      const call = find(callId);
      if (call) world.rt(call.by, "call_ringing", { callId, userId: me.id, userName: me.name, timestamp: now() });
      return done;
    },
    accept_call: (me, device, d) => seat(me, device, d, true),
    join_call: (me, device, d) => seat(me, device, d, false),
    reject_call(me, _device, { callId, reason }) {
      const call = find(callId);
      if (!call) return { outcome: "noop" };
      call.rung.delete(me.id);
      call.out.set(me.id, reason);
      const d = { callId, userId: me.id, userName: me.name, reason, timestamp: now() };
      for (const id of [call.by, me.id]) world.ev(id, "call_rejected", d);
      if (call.rung.size === 0 && call.status === "ringing") world.end(call, "rejected", reason, null);
      return done;
    },
    leave_call(me, _device, { callId }) {
      const call = find(callId);
      if (call?.status === "ringing") world.end(call, "cancelled", "caller_cancelled", me.id);
      else if (call?.waiting.delete(me.id)) tellWaiting(world, call);
      else if (call) world.stand(call, me.id, "left");
      return done;
    },
    end_call(me, _device, { callId }) {
      const call = find(callId);
      if (call?.status === "ringing") world.end(call, "cancelled", "caller_cancelled", me.id);
      else if (call) world.end(moderate(call, me), "ended", "hangup", me.id);
      return done;
    },
    invite(me, _device, { callId, userId }) {
      const call = find(callId);
      if (call?.in.has(me.id)) ring(call, [userId]);
      if (call) world.showAll(call);
      for (const id of call?.in.keys() ?? []) world.rt(id, "roster", world.roster(call));
      return done;
    },
    kick(me, _device, { callId, userId }) {
      const call = moderate(find(callId), me);
      world.ev(userId, "kicked", { callId, by: userOf(me) });
      call.rung.delete(userId);
      world.stand(call, userId, "kicked");
      return done;
    },
    lock: (me, _device, { callId }) => lock(me, callId, true),
    unlock: (me, _device, { callId }) => lock(me, callId, false),
    admit(me, _device, { callId, userId }) {
      decide(world, moderate(find(callId), me), me, userId, "admitted");
      return done;
    },
    deny(me, _device, { callId, userId }) {
      decide(world, moderate(find(callId), me), me, userId, "denied");
      return done;
    },
    mute: (me, _device, d) => source(me, d, false),
    unmute: (me, _device, d) => source(me, d, true),
    raise_hand: (me, _device, d) => hand(me, d, true),
    lower_hand: (me, _device, d) => hand(me, d, false),
    reaction(me, _device, { callId, emoji }) {
      for (const id of find(callId)?.in.keys() ?? []) world.rt(id, "reaction", { callId, userId: me.id, emoji });
      return done;
    },
    media_offer(me, _device, { callId, offerId }) {
      if (find(callId)) setTimeout(() => world.rt(me.id, "media_answer", { callId, offerId, sdp: "v=0" }), 30);
      return done;
    },
    intents(me, _device, { callId, slots }) {
      const call = find(callId);
      const held = call?.in.get(me.id);
      if (held) held.intents = slots;
      if (held) bind(call, me.id);
      return done;
    },
    send_message(me, _device, { chatId, content }) {
      const chat = world.chats.find((c) => c.id === chatId);
      return world.say(chat, { senderId: me.id, kind: "text", content });
    },
    mark_read(me, _device, { chatId }) {
      world.markRead(
        me.id,
        world.chats.find((c) => c.id === chatId),
      );
      return done;
    },
  };
}
