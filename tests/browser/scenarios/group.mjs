// Four people, two browsers, one of them late; and a second call in a chat that has one.
import assert from 'node:assert/strict';

import { decodes, hears } from '../harness/media.mjs';
import { callRow, liveCalls, participantRows } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

// Long enough that somebody who comes late to a slow machine is still rung.
const PATIENT = { RINGHALL_CALLS_RING_MS: '180000' };

scenario('four people talk in a group call, and one of them joins late', async ({ arrive }) => {
  const here = await server(DATABASES[0], PATIENT);
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');

  await ivan.openChat(group);
  await ivan.call('video');
  const { callId } = await maria.sees('incoming-call');
  await sergey.sees('incoming-call');
  await maria.accept();
  await sergey.accept();
  for (const person of [ivan, maria, sergey]) await person.inCall();

  // Anna was not there. She comes within the ring, so it rings; she declines, and joins from the chat a little later.
  const anna = await arrive(second, here, 'anna');
  await anna.click('incoming-decline');
  await anna.seesNo('incoming-call');
  await anna.openChat(group);
  await anna.click('join-call');
  await anna.inCall();

  const everybody = [ivan, maria, sergey, anna];
  for (const person of everybody) {
    for (const other of everybody) {
      if (other !== person) await decodes(person, users[other.login], { frames: 30, ms: 90_000 });
    }
  }
  await Promise.all([hears(anna, users.ivan), hears(ivan, users.anna)]);
  assert.equal(await ivan.count('tile', '[data-source="camera"]'), 4);

  await maria.click('leave-call');
  await ivan.seesNo('tile', `[data-user-id="${users.maria}"]`);
  await decodes(ivan, users.anna, { frames: 30 });

  await ivan.click('end-call');
  for (const person of [ivan, sergey, anna]) await person.sees('call-ended');
  const call = await callRow(here, callId);
  assert.deepEqual([call.status, call.end_reason, call.ended_by], ['ended', 'hangup', users.ivan]);
  assert.deepEqual(
    await participantRows(here, callId),
    Object.fromEntries(everybody.map((person) => [users[person.login], 'left'])),
  );
});

scenario('a second call in a chat that has one becomes a way into the first', async ({ arrive }) => {
  const here = await server(DATABASES[0], PATIENT);
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  await ivan.openChat(group);
  await ivan.call('audio');
  const { callId } = await maria.sees('incoming-call');
  await maria.accept();
  await ivan.inCall();

  const sergey = await arrive(first, here, 'sergey');
  await sergey.click('incoming-decline');
  await sergey.seesNo('incoming-call');
  await sergey.openChat(group);
  await sergey.sees('join-call');
  // The page offers no second call; a client that asks for one all the same is shown the first.
  const result = await sergey.startCallAnyway(group);
  assert.equal(result.outcome, 'exists');
  assert.equal(result.callId, callId);
  assert.equal((await liveCalls(here, group)).length, 1);

  await sergey.click('join-call');
  await sergey.inCall();
  await hears(sergey, users.ivan);
  await ivan.click('end-call');
  for (const person of [ivan, maria, sergey]) await person.sees('call-ended');
});
