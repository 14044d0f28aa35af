// Where UDP is blocked, a call goes by ICE-TCP through the port of the page.
import { strict as assert } from 'node:assert';

import { HOST } from '../harness/certificates.mjs';
import { selectedPair, talkBothWays } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

/** UDP leads nowhere: the address that browsers are told is not the one that the server listens on. */
const NO_UDP = { RINGHALL_MEDIA_LISTEN: '127.0.0.1:0', RINGHALL_MEDIA_ADVERTISE: HOST };

async function talk(t, arrive, here, browser, how) {
  const ivan = await arrive(browser, here, 'ivan', how);
  const maria = await arrive('chromium', here, 'maria', how);
  await talkBothWays(t, ivan, maria, await here.directory());
  const pair = await selectedPair(ivan);
  const { ways } = await ivan.welcome();
  assert.deepEqual(ways, ['tcp', 'relay', 'udp'], 'what failed here stands last for the next page');
  await ivan.click('leave-call');
  await maria.sees('call-ended');
  return pair;
}

for (const browser of BROWSERS) {
  scenario(`${browser} talks by TCP, through the port of the page, where UDP is blocked`, async ({ t, arrive }) => {
    const here = await server('sqlite', NO_UDP, { open: true });
    const pair = await talk(t, arrive, here, browser, { directOnly: true });
    assert.equal(pair.remote.protocol, 'tcp', JSON.stringify(pair));
    assert.equal(pair.remote.port, here.port, JSON.stringify(pair));
  });

  scenario(`${browser} finds a way by itself where UDP is blocked`, async ({ t, arrive }) => {
    const here = await server('sqlite', NO_UDP, { open: true });
    await talk(t, arrive, here, browser, {});
  });

}
