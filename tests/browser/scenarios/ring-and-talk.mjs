// The whole first call: rung, heard, answered, seen and heard, a screen shared, muted, ended, and on record.
import assert from 'node:assert/strict';

import { decodes, hears } from '../harness/media.mjs';
import { checkFinishedCall } from '../harness/records.mjs';
import { DATABASES, PAIRINGS, scenario, server } from '../harness/stage.mjs';

for (const database of DATABASES) {
  for (const [caller, callee] of PAIRINGS) {
    scenario(`${caller} rings ${callee} by video, they talk, and the call is on record (${database})`, async ({ arrive }) => {
      const here = await server(database);
      const { direct, users } = await here.directory();
      const ivan = await arrive(caller, here, 'ivan');
      const maria = await arrive(callee, here, 'maria');

      await ivan.openChat(direct);
      await ivan.call('video');
      const { callId } = await maria.sees('incoming-call');
      await maria.hearsRing();
      await ivan.inCall('ringing');

      await maria.accept();
      await maria.seesNo('incoming-call');
      await maria.hearsNoRing();
      for (const person of [ivan, maria]) assert.equal((await person.inCall('connected')).callId, callId);
      await Promise.all([
        decodes(ivan, users.maria),
        decodes(maria, users.ivan),
        hears(ivan, users.maria),
        hears(maria, users.ivan),
      ]);

      await ivan.click('toggle-screen');
      await ivan.sees('toggle-screen', '[aria-pressed="true"]');
      const screen = `[data-user-id="${users.ivan}"][data-source="screen"]`;
      await maria.sees('tile', screen);
      await decodes(maria, users.ivan, { source: 'screen', frames: 20 });
      await ivan.click('toggle-screen');
      await maria.seesNo('tile', screen);

      const tileOfMaria = `[data-user-id="${users.maria}"][data-source="camera"]`;
      await ivan.sees('tile', `${tileOfMaria}[data-muted="false"]`);
      await maria.click('toggle-mic');
      await ivan.sees('tile', `${tileOfMaria}[data-muted="true"]`);

      await ivan.click('leave-call');
      for (const person of [ivan, maria]) {
        const { duration } = await person.sees('call-ended');
        assert.match(duration, /^\d+$/, 'the duration is shown');
        await person.seesNo('call-view');
      }
      await checkFinishedCall(here, callId, { chat: direct, initiator: users.ivan, callee: users.maria });
    });
  }
}
