// Calls that nobody answers: declined, rung out, cancelled.
import assert from 'node:assert/strict';

import { callRow, participantRows } from '../harness/records.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

async function ringing(arrive, here, callerBrowser = first, calleeBrowser = second) {
  const { direct, users } = await here.directory();
  const ivan = await arrive(callerBrowser, here, 'ivan');
  const maria = await arrive(calleeBrowser, here, 'maria');
  await ivan.openChat(direct);
  await ivan.call('audio');
  const { callId } = await maria.sees('incoming-call');
  await maria.hearsRing();
  return { ivan, maria, callId, users, direct };
}

async function nothingLeft(...people) {
  for (const person of people) {
    await person.seesNo('incoming-call');
    await person.seesNo('call-view');
    await person.hearsNoRing();
  }
}

scenario('a declined call ends for both, and the caller is told by whom', async ({ arrive }) => {
  const here = await server('sqlite');
  const { ivan, maria, callId, users } = await ringing(arrive, here);
  await maria.click('incoming-decline');
  const toast = await ivan.sees('toast');
  assert.match(toast.text, /Мария/);
  await nothingLeft(ivan, maria);
  const call = await callRow(here, callId);
  assert.deepEqual([call.status, call.end_reason, call.started_at], ['rejected', 'declined', null]);
  assert.deepEqual(await participantRows(here, callId), {
    [users.ivan]: 'left',
    [users.maria]: 'declined',
  });
});

scenario('a call that is not answered rings out by the clock of the server', async ({ arrive }) => {
  const here = await server('sqlite', { RINGHALL_CALLS_RING_MS: '3000' });
  const { ivan, maria, callId, users } = await ringing(arrive, here);
  const toast = await ivan.sees('toast');
  assert.match(toast.text, /Мария/);
  await nothingLeft(ivan, maria);
  const call = await callRow(here, callId);
  assert.deepEqual([call.status, call.end_reason, call.started_at], ['rejected', 'timeout', null]);
  assert.deepEqual(await participantRows(here, callId), {
    [users.ivan]: 'left',
    [users.maria]: 'missed',
  });
});

scenario('a call that the caller gives up stops ringing', async ({ arrive }) => {
  const here = await server('sqlite');
  const { ivan, maria, callId, users } = await ringing(arrive, here, second, first);
  await ivan.click('leave-call');
  await nothingLeft(ivan, maria);
  const call = await callRow(here, callId);
  assert.deepEqual([call.status, call.end_reason, call.started_at], ['cancelled', 'caller_cancelled', null]);
  assert.deepEqual(await participantRows(here, callId), {
    [users.ivan]: 'left',
    [users.maria]: 'missed',
  });
});
