// Somebody without an account comes by a link; and a room that is full says so.
import assert from 'node:assert/strict';

import { decodes, hears } from '../harness/media.mjs';
import { liveCalls } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';
import { eventually } from '../harness/wait.mjs';

const [first, second = first] = BROWSERS;

scenario('a guest follows a link, says a name and talks, moderates nobody, and who comes to a full room is told', async ({ arrive }) => {
  const here = await server(DATABASES[0], { RINGHALL_CALLS_MAX_PARTICIPANTS: '2' });
  const { users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  await ivan.click('new-meeting');
  await ivan.sees('lobby-preview');
  const link = await ivan.page.evaluate(() => location.pathname);
  // A browser without a window has no clipboard.
  await ivan.page.evaluate(() => {
    navigator.clipboard.writeText = async (text) => {
      window.copied = text;
    };
  });
  await ivan.click('copy-guest-link');
  const copied = await ivan.page.waitForFunction(() => window.copied, { timeout: 20_000 });
  const guestLink = await copied.jsonValue();
  await ivan.click('room-join');
  const { callId } = await ivan.inCall();

  const guest = await arrive(second, here, 'guest', { guestLink });
  await guest.sees('guest-name');
  assert.equal(await guest.count('guest-password'), 0);
  await guest.page.type('[data-testid="guest-name"]', 'Zoe Guest');
  await guest.click('guest-enter');
  await counts(guest, '1/2');
  await guest.click('room-join');
  assert.equal((await guest.inCall()).callId, callId);
  await Promise.all([decodes(guest, users.ivan, { frames: 20 }), hears(guest, users.ivan)]);
  await ivan.click('toggle-people');
  await ivan.sees('mute-person');
  assert.match((await ivan.sees('people-panel')).text, /Zoe Guest/);
  await guest.click('toggle-people');
  await guest.sees('people-panel');
  for (const button of ['mute-person', 'kick', 'lock', 'end-call']) assert.equal(await guest.count(button), 0, button);

  const maria = await arrive(first, here, 'maria');
  await maria.visit(`${here.url}${link}`);
  await counts(maria, '2/2');
  await maria.click('room-join');
  await maria.sees('room-problem');
  assert.equal(await maria.count('call-view'), 0);
  await guest.click('leave-call');
  await guest.seesNo('call-view');
  await maria.click('room-join');
  await maria.inCall();
  await ivan.click('end-call');
  await maria.seesNo('call-view');
  const [{ chat_id: chat }] = await here.database.rows(`select chat_id from calls where id = '${callId}'`);
  assert.equal((await liveCalls(here, chat)).length, 0);
});

/** The door says so many are in, of so many that may be. */
async function counts(person, text) {
  await eventually(`${person.login} reads ${text}`, async () => (await person.sees('room-count')).text.includes(text));
}
