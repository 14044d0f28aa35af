// What stays after calls: messages with their length, details, missed calls until they are seen, unread texts, presence.
import assert from 'node:assert/strict';

import { DATABASES, BROWSERS, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

for (const database of DATABASES) {
  scenario(`a talk and a missed call are in the history of both, and what was not read is counted (${database})`, async ({ arrive }) => {
    // A server of its own, so that the numbers are those of this test.
    const here = await server(database, { RINGHALL_CALLS_RING_MS: '31000' });
    const { direct, users } = await here.directory();
    const ivan = await arrive(first, here, 'ivan');
    await ivan.openChat(direct);
    await ivan.sees('chat-presence', '[data-presence="offline"]');

    // Nobody is there: the page asks, and the call is missed.
    await ivan.click('call-audio');
    await ivan.sees('ring-anyway');
    await ivan.click('ring-anyway-yes');
    await ivan.inCall('calling');
    await ivan.click('leave-call');
    await ivan.seesNo('call-view');
    await ivan.write('Перезвони');
    await ivan.sees('message', '[data-kind="text"]');

    const maria = await arrive(second, here, 'maria');
    await ivan.sees('chat-presence', '[data-presence="online"]');
    assert.equal((await maria.sees('missed-badge')).count, '1');
    assert.equal((await maria.sees('unread')).count, '2', 'a missed call and a text');
    await maria.click('calls');
    await maria.sees('calls-entry', '[data-mine="missed"]');
    await maria.seesNo('missed-badge');
    await maria.page.keyboard.press('Escape');
    await maria.seesNo('calls-dialog');
    await maria.openChat(direct);
    await maria.sees('message', '[data-missed="true"]');
    await maria.seesNo('unread');

    // A talk, with a text in it.
    await maria.call('audio');
    await ivan.sees('incoming-call');
    await ivan.accept();
    await maria.inCall();
    await ivan.inCall();
    await ivan.sees('chat-presence', '[data-presence="in_call"]');
    await ivan.click('toggle-chat');
    await ivan.page.type('.side [data-testid="message-input"]', 'Слышно хорошо');
    await ivan.page.keyboard.press('Enter');
    await maria.sees('toggle-chat-badge');
    await maria.click('leave-call');
    for (const person of [ivan, maria]) await person.sees('call-ended');
    await ivan.sees('message', '[data-kind="call"][data-missed="false"]');
    await ivan.page.$$eval('[data-testid="call-details-open"]', (all) => all.at(-1).click());
    for (const id of [users.ivan, users.maria]) {
      const { status, text } = await ivan.sees('details-person', `[data-user-id="${id}"]`);
      assert.equal(status, 'left');
      assert.match(text, /\d{2}:\d{2}/, 'with the times of each');
    }
    await ivan.page.keyboard.press('Escape');

    await maria.leave();
    await ivan.sees('chat-presence', '[data-presence="offline"]', 30_000);
    assert.match((await ivan.sees('chat-presence')).text, /визит|seen/);
  });
}
