// Whom to ring in a chat that is larger than may be rung; what everybody sees of a reaction.
import assert from 'node:assert/strict';

import { participantRows } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

scenario('in a chat of more people than may be rung the caller chooses, and nobody else is rung', async ({ arrive }) => {
  const here = await server(DATABASES.at(-1), { RINGHALL_CALLS_RING_MAX_MEMBERS: '2', RINGHALL_CALLS_RING_MS: '180000' });
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');
  await ivan.openChat(group);
  await ivan.call('audio');
  await ivan.sees('choose-callees');
  assert.equal(await ivan.count('ring-all'), 0, 'all are too many');
  const tick = (login) => ivan.clickIn('picker-person', `[data-user-id="${users[login]}"]`, null);
  await ivan.sees('ring-chosen', ':disabled'); // nobody is chosen yet
  await tick('maria');
  await tick('sergey');
  await ivan.sees('ring-chosen', ':enabled');
  await tick('anna');
  await ivan.sees('ring-chosen', ':disabled'); // three are too many
  await tick('sergey');
  await ivan.sees('ring-chosen', ':enabled');
  await ivan.click('ring-chosen');
  const { callId } = await maria.sees('incoming-call');
  await maria.accept();
  await ivan.inCall();
  await maria.inCall();
  assert.equal(await sergey.count('incoming-call'), 0);
  assert.deepEqual(Object.keys(await participantRows(here, callId)).sort(), [users.ivan, users.maria, users.anna].sort());

  // Who was not rung sees the call all the same, and may come.
  await sergey.openChat(group);
  await sergey.click('join-call');
  await sergey.inCall();
  await ivan.click('toggle-reactions');
  await ivan.click('reaction', '[data-emoji="🎉"]');
  for (const { text } of await Promise.all([maria, sergey].map((person) => person.sees('tile-reaction')))) assert.match(text, /🎉/);
  for (const person of [maria, sergey]) await person.seesNo('tile-reaction');
  await ivan.click('end-call');
  for (const person of [ivan, maria, sergey]) await person.seesNo('call-view');
});
