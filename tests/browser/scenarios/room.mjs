// A meeting by link: its owner, a waiting list, a guest who is let in, a lock, and somebody who is turned away.
import assert from 'node:assert/strict';

import { decodes, hears } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

scenario('people wait at the door of a room until its owner lets them in, and a lock keeps newcomers out', async ({ arrive }) => {
  const here = await server(DATABASES[0]);
  const { users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  await ivan.click('new-meeting');
  await ivan.sees('lobby-preview');
  await ivan.click('room-lobby');
  await eventuallyChecked(ivan);
  const link = await ivan.page.evaluate(() => location.pathname);

  // Early: the meeting begins with its owner, and whoever came before stands at the door then.
  await maria.visit(`${here.url}${link}`);
  await maria.click('room-join');
  await maria.sees('room-waiting');
  await ivan.click('room-join');
  const { callId } = await ivan.inCall();
  await ivan.isTold(/Мария/);
  await ivan.click('toggle-people');
  await ivan.clickIn('waiter', `[data-user-id="${users.maria}"]`, 'admit');
  assert.equal((await maria.inCall()).callId, callId);
  await Promise.all([decodes(maria, users.ivan, { frames: 20 }), hears(ivan, users.maria)]);

  const sergey = await arrive(first, here, 'sergey');
  await ivan.click('lock');
  await ivan.sees('lock', '[aria-pressed="true"]');
  await maria.isTold(/^Иван/);
  await sergey.visit(`${here.url}${link}`);
  await sergey.click('room-join');
  await sergey.sees('room-waiting');
  await ivan.clickIn('waiter', `[data-user-id="${users.sergey}"]`, 'deny');
  await sergey.sees('room-problem');
  assert.equal(await sergey.count('call-view'), 0);
  await ivan.click('end-call');
  await maria.seesNo('call-view');
});

async function eventuallyChecked(person) {
  await person.page.waitForSelector('[data-testid="room-lobby"]:checked', { timeout: 20_000 });
}
