// A call in two media shards, one or two people in each: they see, hear, mute and lose each other as in one.
import assert from 'node:assert/strict';

import { decodes, hears, selectedPair, silent } from '../harness/media.mjs';
import { BROWSERS, DATABASES, scenario, server } from '../harness/stage.mjs';

const [first, second = first] = BROWSERS;
const SPREAD = {
  RINGHALL_MEDIA_SHARDS: '2',
  RINGHALL_MEDIA_ROOM_MEMBERS_PER_SHARD: '1',
  RINGHALL_CALLS_RING_MS: '180000',
};

scenario('a call that is in two media shards is one call', async ({ arrive }) => {
  const here = await server(DATABASES[0], SPREAD);
  const { group, users } = await here.directory();
  const ivan = await arrive(first, here, 'ivan');
  const maria = await arrive(second, here, 'maria');
  const sergey = await arrive(first, here, 'sergey');
  await ivan.openChat(group);
  await ivan.call('video');
  await maria.sees('incoming-call');
  await sergey.sees('incoming-call');
  await maria.accept();
  await sergey.accept();
  const everybody = [ivan, maria, sergey];
  for (const person of everybody) await person.inCall();
  for (const person of everybody) {
    for (const other of everybody) {
      if (other !== person) await decodes(person, users[other.login], { frames: 30, ms: 90_000 });
    }
  }
  await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan), hears(sergey, users.maria), hears(maria, users.sergey)]);
  const ports = await Promise.all(everybody.map(async (person) => (await selectedPair(person)).remote.port));
  assert.equal(new Set(ports).size, 2, `two shards, two ports: ${ports}`);

  // A mute reaches who publishes in one shard and who listens in the other.
  await ivan.click('toggle-people');
  await ivan.clickIn('person', `[data-user-id="${users.maria}"]`, 'mute-person');
  await Promise.all([silent(ivan, users.maria), silent(sergey, users.maria)]);
  await ivan.clickIn('person', `[data-user-id="${users.maria}"]`, 'unmute-person');
  await ivan.sees('person', `[data-user-id="${users.maria}"][data-enforced="false"]`);
  await maria.click('toggle-mic');
  await Promise.all([hears(ivan, users.maria), hears(sergey, users.maria)]);

  await maria.click('leave-call');
  for (const person of [ivan, sergey]) await person.seesNo('tile', `[data-user-id="${users.maria}"]`);
  await decodes(ivan, users.sergey, { frames: 30 });
  await ivan.click('end-call');
  await sergey.sees('call-ended');
});
