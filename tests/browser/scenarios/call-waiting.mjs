// A call that comes while one is on: shown without a sound; leave for it, or say busy.
import assert from 'node:assert/strict';

import { decodes } from '../harness/media.mjs';
import { callRow, participantRows } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

scenario('a second call is shown silently, declined as busy, and answered by leaving the first', async ({ arrive }) => {
  const here = await server(DATABASES.at(-1));
  const { direct, group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');
  await ivan.openChat(direct);
  await ivan.call('audio');
  const { callId: firstCall } = await maria.sees('incoming-call');
  await maria.accept();
  await ivan.inCall();
  await maria.inCall();

  await sergey.openChat(group);
  await sergey.call('video');
  const { callId: secondCall } = await maria.sees('incoming-call');
  assert.equal(await maria.page.evaluate(() => window.ringhall.ringing()), false, 'call waiting is silent');
  await ivan.sees('incoming-call');
  await ivan.click('incoming-decline');
  await maria.click('incoming-accept');
  await maria.sees('call-view', `[data-call-id="${secondCall}"][data-status="connected"]`, 40_000);
  await ivan.seesNo('call-view');
  await Promise.all([
    decodes(maria, users.sergey, { frames: 20 }),
    decodes(sergey, users.maria, { frames: 20 }),
  ]);
  const { status, end_reason: reason } = await callRow(here, firstCall);
  assert.deepEqual([status, reason], ['ended', 'hangup']);
  assert.equal((await participantRows(here, secondCall))[users.ivan], 'busy');
  await sergey.click('end-call');
  await maria.sees('call-ended');
});
