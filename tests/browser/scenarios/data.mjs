// Data channels: messages of one page reach the others, whatever browser they are, with who sent them; what is too much is
// refused by the server, and the call goes on.
import assert from 'node:assert/strict';

import { decodes } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';
import { eventually } from '../harness/wait.mjs';

const [first, second = first] = BROWSERS;

/** Begins to note what comes. */
const listen = (person) =>
  person.page.evaluate(() => {
    window.heard_ = [];
    window.refused_ = [];
    const { call } = window.ringhall;
    call.on('data', ({ userId, topic, payload, reliable }) => {
      window.heard_.push({ userId, topic, size: payload.length, sum: payload.reduce((a, b) => (a + b) % 65_521, 0), reliable });
    });
    call.on('dataRefused', ({ code, message }) => window.refused_.push({ code, message }));
  });

/** Sends `count` messages of `size` bytes; says how many this side did not take. */
const send = (person, topic, { size = 10, count = 1, reliable = true } = {}) =>
  person.page.evaluate(
    (topic, size, count, reliable) => {
      let refused = 0;
      for (let n = 0; n < count; n++) {
        const payload = Uint8Array.from({ length: size }, (_, i) => (i * 7 + n) & 0xff);
        try {
          window.ringhall.call.sendData(topic, payload, { reliable });
        } catch (error) {
          if (error.code === 'OFFLINE') throw error;
          refused += 1;
        }
      }
      return refused;
    },
    topic,
    size,
    count,
    reliable,
  );

const heard = (person, topic) => person.page.evaluate((topic) => window.heard_.filter((m) => m.topic === topic), topic);
const sumOf = (size) => Array.from({ length: size }, (_, i) => (i * 7) & 0xff).reduce((a, b) => (a + b) % 65_521, 0);

scenario('messages go both ways between browsers, small and large, reliable and lossy; a flood is refused and the call goes on', async ({ arrive }) => {
  const here = await server(DATABASES[0]);
  const { direct, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  await ivan.openChat(direct);
  await ivan.call('video');
  await maria.sees('incoming-call');
  await maria.accept();
  for (const person of [ivan, maria]) await person.inCall();
  await Promise.all([decodes(ivan, users.maria, { frames: 20 }), decodes(maria, users.ivan, { frames: 20 })]);
  for (const person of [ivan, maria]) await listen(person);

  for (const [from, to, user] of [[ivan, maria, users.ivan], [maria, ivan, users.maria]]) {
    for (const [topic, reliable, size] of [['small', true, 10], ['large', true, 15_000], ['lossy', false, 300], ['empty', true, 0]]) {
      await send(from, topic, { size, reliable });
      const [message, more] = await eventually(`${from.login}'s ${topic} message arrives`, async () => {
        const all = await heard(to, topic);
        return all.length > 0 && all;
      });
      assert.deepEqual(message, { userId: user, topic, size, sum: sumOf(size), reliable });
      assert.equal(more, undefined, 'once');
      assert.deepEqual(await heard(from, topic).then((all) => all.filter((m) => m.userId === user)), [], 'not back to its sender');
    }
    await from.page.evaluate(() => (window.heard_ = []));
    await to.page.evaluate(() => (window.heard_ = []));
  }

  // The page itself refuses what is too large; the server what is too much.
  assert.equal(await send(ivan, 'huge', { size: 20_000 }), 1);
  await send(ivan, 'flood', { size: 50, count: 600, reliable: false });
  const refusal = await eventually('ivan is told that it is too much', () => ivan.page.evaluate(() => window.refused_[0]));
  assert.equal(refusal.code, 'RATE_LIMITED');
  const flood = await heard(maria, 'flood');
  assert.ok(flood.length < 400, `${flood.length} of 600 messages came through`);
  await send(maria, 'after', {});
  await eventually('the other one can still say something', async () => (await heard(ivan, 'after')).length === 1);
  await Promise.all([decodes(ivan, users.maria, { frames: 20 }), decodes(maria, users.ivan, { frames: 20 })]);

  await ivan.click('leave-call');
  await maria.sees('call-ended');
});
