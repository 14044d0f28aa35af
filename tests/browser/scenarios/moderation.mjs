// What a moderator does to others, and that everybody is told who did it: mute that holds, lock, hands, remove, invite.
import assert from 'node:assert/strict';

import { decodes, hears, silent } from '../harness/media.mjs';
import { participantRows } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;
const PATIENT = { RINGHALL_CALLS_RING_MS: '180000' };

scenario('a moderator mutes somebody for good, orders hands, locks, removes one and invites them back', async ({ arrive }) => {
  const here = await server(DATABASES[0], PATIENT);
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');
  await ivan.openChat(group);
  await ivan.call('audio');
  const { callId } = await maria.sees('incoming-call');
  await maria.accept();
  await sergey.sees('incoming-call');
  await sergey.accept();
  for (const person of [ivan, maria, sergey]) await person.inCall();
  await hears(ivan, users.maria);

  // Hands keep the order in which they went up.
  await sergey.click('toggle-hand');
  await ivan.click('toggle-people');
  await ivan.sees('raised-hand', `[data-user-id="${users.sergey}"]`);
  await maria.click('toggle-hand');
  await ivan.sees('raised-hand', `[data-user-id="${users.maria}"]`);
  const order = await ivan.page.$$eval('[data-testid="raised-hand"]', (all) => all.map((e) => e.dataset.userId));
  assert.deepEqual(order, [users.sergey, users.maria]);
  await ivan.click('lower-hand');
  await sergey.sees('toggle-hand', '[aria-pressed="false"]');

  // A member has no such buttons; a moderator's mute holds against the one who is muted.
  await maria.click('toggle-people');
  assert.equal(await maria.count('mute-person'), 0);
  await ivan.clickIn('person', `[data-user-id="${users.maria}"]`, 'mute-person');
  await maria.isTold(/^Иван/);
  await maria.sees('toggle-mic', '[aria-pressed="false"]');
  await silent(ivan, users.maria);
  await maria.click('toggle-mic');
  await maria.sees('toggle-mic', '[aria-pressed="false"]');
  await ivan.sees('person', `[data-user-id="${users.maria}"][data-muted="true"]`);
  await silent(ivan, users.maria);
  await ivan.clickIn('person', `[data-user-id="${users.maria}"]`, 'unmute-person');
  await ivan.sees('person', `[data-user-id="${users.maria}"][data-enforced="false"]`);
  await maria.click('toggle-mic');
  await hears(ivan, users.maria);

  // Removed is removed: no way back but by an invitation; locked is locked.
  await ivan.clickIn('person', `[data-user-id="${users.sergey}"]`, 'kick');
  await ivan.click('kick-yes');
  await sergey.seesNo('call-view');
  const card = await sergey.sees('call-ended');
  assert.match(card.text, /Иван/);
  assert.equal((await participantRows(here, callId))[users.sergey], 'kicked');
  await sergey.openChat(group);
  assert.equal(await sergey.count('join-call'), 0);
  await ivan.click('lock');
  await ivan.sees('lock', '[aria-pressed="true"]');
  await ivan.click('invite');
  await ivan.clickIn('picker-person', `[data-user-id="${users.sergey}"]`, null);
  await ivan.click('invite-yes');
  await sergey.sees('incoming-call');
  await sergey.accept();
  await sergey.inCall();
  await hears(sergey, users.maria);
  await sergey.click('toggle-camera');
  await decodes(ivan, users.sergey, { frames: 10 });
  await ivan.click('end-call');
  for (const person of [maria, sergey]) await person.sees('call-ended');
});
