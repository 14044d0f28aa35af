// The server is killed in a call, at once and without a word, or told to end, and started again: the same call goes on.
import assert from 'node:assert/strict';

import { eventually } from '../harness/wait.mjs';
import { callRow, liveCalls } from '../harness/records.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;

/** The promise of the product, counted from when the server answers again. */
const BACK_MS = 5_000;

const WAYS = [
  ...DATABASES.map((database) => ['a killed server', database, (here) => here.kill(), second]),
  // As an upgrade does it. It has five seconds for goodbyes (server/src/serve.rs), and a wide bound here.
  ['a server that is told to end', DATABASES[0], async (here) => {
    const { code, ms } = await here.terminate();
    assert.equal(code, 0);
    assert.ok(ms < 12_000, `${ms} ms after SIGTERM`);
    // Firefox reports each attempt to connect meanwhile as an error of the page.
  }, first],
];

for (const [what, database, end, other] of WAYS) {
  scenario(`a call survives ${what} with sound and picture (${database})`, async ({ t, arrive }) => {
    const here = await server(database, { RINGHALL_CALLS_RING_MS: '32000' });
    const { direct, users } = await here.directory();
    const ivan = await arrive(first, here, 'ivan');
    const maria = await arrive(other, here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.sees('incoming-call');
    await maria.accept();
    const { callId } = await maria.inCall();
    await ivan.inCall();
    const before = [await flowing(ivan, users.maria), await flowing(maria, users.ivan)];
    assert.ok(before.every(Boolean));

    for (const person of [ivan, maria]) await person.page.evaluate(() => (window.oldPc = window.ringhall.pc()));
    await end(here);
    await here.restart();
    const up = Date.now();
    await Promise.all([backAgain(ivan, users.maria), backAgain(maria, users.ivan)]);
    const took = Date.now() - up;
    for (const person of [ivan, maria]) assert.equal((await person.inCall()).callId, callId);
    assert.deepEqual((await liveCalls(here, direct)).map(({ id }) => id), [callId]);
    t.diagnostic(`both were back ${took} ms after the server was up`);
    assert.ok(took < BACK_MS, `back ${took} ms after the server was up`);

    await ivan.click('leave-call');
    for (const person of [ivan, maria]) await person.sees('call-ended');
    const { status, end_reason: reason } = await callRow(here, callId);
    assert.deepEqual([status, reason], ['ended', 'hangup']);
    const rows = await here.database.rows(`select id from calls where id = '${callId}'`);
    assert.equal(rows.length, 1);
  });
}

/** Frames of somebody decoded on the connection that the page has now, and sound received. */
async function received(person, user) {
  return person.page.evaluate(async (userId) => {
    const pc = window.ringhall.pc();
    const slots = window.ringhall.bindings().filter((b) => b.userId === userId);
    const of = async (source) => {
      const mid = slots.find((slot) => slot.source === source)?.mid;
      const transceiver = pc?.getTransceivers().find((t) => t.mid === mid);
      const reports = transceiver ? [...(await transceiver.receiver.getStats()).values()] : [];
      return reports.find(({ type }) => type === 'inbound-rtp');
    };
    const [video, audio] = [await of('camera'), await of('mic')];
    return { fresh: pc !== window.oldPc, frames: video?.framesDecoded ?? 0, energy: audio?.totalAudioEnergy ?? 0 };
  }, user);
}

function flowing(person, user) {
  return eventually(`${person.login} sees and hears the other`, async () => {
    const { frames, energy } = await received(person, user);
    return frames > 0 && energy > 0;
  });
}

function backAgain(person, user) {
  return eventually(
    `${person.login} (${person.browser}) sees and hears the other again`,
    async () => {
      const now = await received(person, user);
      if (now.fresh && now.frames > 0 && now.energy > 0) return true;
      throw new Error(JSON.stringify(now));
    },
    60_000,
    50,
  );
}
