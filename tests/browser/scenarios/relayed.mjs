// Behind a firewall that lets nothing but TURN pass, by UDP, by TCP, or by TLS alone: the page may use relayed candidates
// only. The TURN server is the built-in one, on the one port of everything.
import { strict as assert } from 'node:assert';

import { HOST } from '../harness/certificates.mjs';
import { decodes, selectedPair, talkBothWays } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

const WAYS = [
  ['UDP', 'udp', '^turn:.*transport=udp'],
  ['TCP', 'tcp', '^turn:.*transport=tcp'],
  ['TLS', 'tls', '^turns:'],
];

for (const browser of BROWSERS) {
  scenario(`${browser} talks by UDP, directly, where media and the built-in TURN server share the one address`, async ({ arrive }) => {
    const here = await server('sqlite', { RINGHALL_MEDIA_ADVERTISE: HOST }, { open: true });
    const { direct, users } = await here.directory();
    const ivan = await arrive(browser, here, 'ivan');
    const maria = await arrive('chromium', here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.accept();
    await Promise.all([decodes(ivan, users.maria), decodes(maria, users.ivan)]);
    const { local, remote } = await selectedPair(ivan);
    assert.deepEqual([local.candidateType === 'relay', remote.protocol], [false, 'udp'], JSON.stringify({ local, remote }));
    await ivan.click('leave-call');
    await maria.sees('call-ended');
  });

  for (const [name, protocol, urls] of WAYS) {
    scenario(`${browser} talks through the built-in TURN server, by ${name}`, async ({ t, arrive }) => {
      const here = await server('sqlite', {}, { open: true });
      const ivan = await arrive(browser, here, 'ivan', { relayOnly: urls });
      const maria = await arrive('chromium', here, 'maria');
      await talkBothWays(t, ivan, maria, await here.directory());
      const pair = await selectedPair(ivan);
      assert.equal(pair.local.candidateType, 'relay', JSON.stringify(pair));
      assert.equal(pair.local.relayProtocol ?? protocol, protocol, JSON.stringify(pair));
      await ivan.click('leave-call');
      await maria.sees('call-ended');
    });
  }
}
