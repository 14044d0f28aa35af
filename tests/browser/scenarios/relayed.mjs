// Behind a firewall that lets nothing but TURN pass: the page may use relayed candidates only, as it is with
// `iceTransportPolicy: "relay"`. The TURN server is the built-in one.
import { strict as assert } from 'node:assert';

import { decodes, hears, selectedPair } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

for (const browser of BROWSERS) {
  scenario(`${browser} talks through the built-in TURN server, by UDP`, async ({ arrive }) => {
    const here = await server('sqlite');
    const { direct, users } = await here.directory();
    const ivan = await arrive(browser, here, 'ivan', { relayOnly: true });
    const maria = await arrive('chromium', here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.accept();
    await Promise.all([
      decodes(ivan, users.maria),
      hears(ivan, users.maria),
      decodes(maria, users.ivan),
      hears(maria, users.ivan),
    ]);
    const pair = await selectedPair(ivan);
    assert.equal(pair.local.candidateType, 'relay', JSON.stringify(pair));
    assert.equal(pair.local.relayProtocol ?? 'udp', 'udp', JSON.stringify(pair));
    await ivan.click('leave-call');
    await maria.sees('call-ended');
  });
}
