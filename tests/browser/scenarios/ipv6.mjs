// A server that has nothing but IPv6 for its media.
import { strict as assert } from 'node:assert';

import { HOST_V6 } from '../harness/certificates.mjs';
import { decodes, hears, selectedPair } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

const ONLY_V6 = { RINGHALL_MEDIA_LISTEN: '[::]:0', RINGHALL_MEDIA_ADVERTISE: HOST_V6 };

for (const browser of BROWSERS) {
  scenario(`${browser} talks over IPv6`, async ({ arrive }) => {
    const here = await server('sqlite', ONLY_V6);
    const { direct, users } = await here.directory();
    const ivan = await arrive(browser, here, 'ivan');
    const maria = await arrive('chromium', here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.accept();
    await Promise.all([decodes(ivan, users.maria), hears(ivan, users.maria), decodes(maria, users.ivan), hears(maria, users.ivan)]);
    const { remote } = await selectedPair(ivan);
    assert.equal(remote.address ?? remote.ip, HOST_V6, JSON.stringify(remote));
    await ivan.click('leave-call');
    await maria.sees('call-ended');
  });
}
