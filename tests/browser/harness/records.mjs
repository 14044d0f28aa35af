// What a call leaves on record, checked column by column on either database.
import assert from 'node:assert/strict';

import { eventually } from './wait.mjs';

/** Times are `timestamptz` in Postgres and epoch milliseconds in SQLite; null stays null. */
const time = (value) => (typeof value === 'string' ? Date.parse(value) : value);

const quote = (text) => `'${String(text).replaceAll("'", "''")}'`;

/** The row of the call once it is final; the page may hear of the end a moment before we can read it. */
export async function callRow(server, callId) {
  return eventually(`call ${callId} is final on record`, async () => {
    const [row] = await server.database.rows(`select * from calls where id = ${quote(callId)}`);
    return row && !['ringing', 'ongoing'].includes(row.status) ? row : null;
  });
}

/** user id -> final status */
export async function participantRows(server, callId) {
  const rows = await server.database.rows(`select user_id, status from call_participants where call_id = ${quote(callId)}`);
  return Object.fromEntries(rows.map((row) => [row.user_id, row.status]));
}

export async function liveCalls(server, chat) {
  return server.database.rows(`select id from calls where chat_id = ${quote(chat)} and status in ('ringing', 'ongoing')`);
}

/** A direct video call that was answered, talked, and hung up by the one who started it. */
export async function checkFinishedCall(server, callId, { chat, initiator, callee }) {
  const call = await callRow(server, callId);
  assert.deepEqual(
    { chat: call.chat_id, type: call.type, by: call.initiated_by, status: call.status, reason: call.end_reason, ended: call.ended_by },
    { chat, type: 'video', by: initiator, status: 'ended', reason: 'hangup', ended: initiator },
  );
  assert.ok(call.room_name.length >= 16, 'the room name cannot be guessed');
  const [created, started, ended] = [call.created_at, call.started_at, call.ended_at].map(time);
  assert.ok(created < started && started < ended, `created ${created}, started ${started}, ended ${ended}`);

  const seats = await server.database.rows(
    `select * from call_participants where call_id = ${quote(callId)} order by case user_id when ${quote(initiator)} then 0 else 1 end`,
  );
  assert.deepEqual(
    seats.map((seat) => [seat.user_id, seat.role, seat.status, seat.device_id]),
    [
      [initiator, 'initiator', 'left', null],
      [callee, 'member', 'left', null],
    ],
  );
  for (const seat of seats) {
    const [joined, left] = [seat.joined_at, seat.left_at].map(time);
    assert.ok(joined >= created && joined < left && left <= ended, `joined ${joined}, left ${left}`);
    assert.ok(Math.abs(seat.duration - (left - joined) / 1000) <= 1, `duration ${seat.duration} of ${(left - joined) / 1000} s`);
  }
  assert.ok(time(seats[0].joined_at) < time(seats[1].joined_at), 'the caller is in first');
  assert.ok(Math.abs(time(seats[1].joined_at) - started) <= 1, 'the first answer starts the call');

  const events = await server.database.rows(`select * from call_events where call_id = ${quote(callId)} order by seq`);
  assert.deepEqual(events.map((event) => event.seq), events.map((_, index) => index + 1), 'the sequence has no gap');
  assert.deepEqual(
    events.map((event) => [event.event_type, event.user_id]),
    [
      ['call_initiated', initiator],
      ['call_participant_joined', initiator],
      ['call_ringing', callee],
      ['call_accepted', callee],
      ['call_participant_joined', callee],
      ['call_participant_left', initiator],
      ['call_participant_left', callee],
      ['call_ended', initiator],
    ],
  );
  const names = JSON.stringify(events.map((event) => event.metadata));
  assert.doesNotMatch(names, /Иван|Мария/, 'events hold ids, never names');

  const messages = await server.database.rows(`select * from messages where call_id = ${quote(callId)}`);
  assert.deepEqual(
    messages.map((message) => [message.chat_id, message.kind, message.sender_id]),
    [[chat, 'call', initiator]],
  );
}
