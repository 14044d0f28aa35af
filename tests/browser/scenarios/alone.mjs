// Somebody whom everybody has left is asked whether they go on, and is not kept for ever.
import assert from 'node:assert/strict';

import { callRow } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

scenario('whoever is alone in a call is asked, may stay, is left in peace in company, and is out in the end', async ({ arrive }) => {
  const here = await server(DATABASES[0], { RINGHALL_CALLS_ALONE_ASK_MS: '3000', RINGHALL_CALLS_ALONE_END_MS: '15000' });
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  await ivan.click('new-meeting');
  await ivan.sees('lobby-preview');
  await maria.visit(`${here.url}${await ivan.page.evaluate(() => location.pathname)}`);
  await maria.sees('room-join', ':enabled');
  await ivan.click('room-join');
  const { callId } = await ivan.inCall();

  // Asked; the answer holds for a while, then it is asked again.
  const { text } = await ivan.sees('alone-prompt');
  assert.match(text, /0:\d\d/, 'says how long there is');
  await ivan.click('alone-stay');
  await ivan.seesNo('alone-prompt');
  await ivan.sees('alone-prompt');

  await maria.click('room-join');
  await maria.inCall();
  await ivan.seesNo('alone-prompt');
  await maria.click('leave-call');
  await maria.seesNo('call-view');
  await ivan.sees('alone-prompt');

  // Nobody answers: it ends by the server's clock.
  await ivan.seesNo('call-view', '', 40_000);
  const { status, end_reason: reason, ended_by: by } = await callRow(here, callId);
  assert.deepEqual([status, reason, by], ['ended', 'last_left', null]);
});
