// Networks that change in a call: another interface, another address, a NAT that forgets, a firewall that closes. Ivan is the
// one who moves; Maria sits beside the server. What counts is how long either of them hears nothing.
import { strict as assert } from 'node:assert';

import { FAR, FAR_NAT } from '../harness/certificates.mjs';
import { FarHost } from '../harness/far-host.mjs';
import { decodes, hears, longestSilence, selectedPair, watchSound } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';

const OPEN = { RINGHALL_MEDIA_LISTEN: `${FAR}:0` };
/** The NAT has to know the port; a server that failed a scenario may still hold the last one. */
let natPort = 17_882;
/** Ivan's packets come through a NAT; nothing but UDP is there, and no relay. */
const behindNat = (port) => ({
  RINGHALL_MEDIA_LISTEN: `${FAR}:${port}`,
  RINGHALL_MEDIA_ADVERTISE: `${FAR},${FAR_NAT}`,
  RINGHALL_MEDIA_TCP: 'false',
  RINGHALL_TURN_ENABLED: 'false',
});
/** Wide bounds: the machine is busy. The figures themselves are told. */
const WITH_EVENT_MS = 3_000;
const WITHOUT_EVENT_MS = 5_000;

/** Ivan and Maria talk; `change` happens; both hear each other again, and the longest silences are told. */
async function moved({ t, arrive }, browser, options, change, before = async () => {}) {
  const host = await FarHost.get();
  host.heal();
  const here = await server('sqlite', options, { open: true, host });
  const { direct, users } = await here.directory();
  await before(host);
  try {
    const ivan = await arrive(browser, here, 'ivan');
    const maria = await arrive('chromium-far', here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.accept();
    await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan)]);
    await Promise.all([decodes(ivan, users.maria), decodes(maria, users.ivan)]);
    const { callId } = await ivan.inCall();
    await watchSound(ivan, users.maria);
    await watchSound(maria, users.ivan);
    await change(host);
    // Everything comes through again on every track, and it is the same call.
    await Promise.all([decodes(ivan, users.maria, { frames: 90 }), decodes(maria, users.ivan, { frames: 90 })]);
    await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan)]);
    const silence = { uplink: await longestSilence(maria), downlink: await longestSilence(ivan) };
    t.diagnostic(`longest silence: ${JSON.stringify(silence)} ms`);
    const pair = await selectedPair(ivan);
    assert.equal((await ivan.inCall()).callId, callId);
    await ivan.click('leave-call');
    await maria.sees('call-ended');
    return { ...silence, pair };
  } finally {
    host.heal();
  }
}

for (const browser of BROWSERS) {
  scenario(`${browser} goes from Wi-Fi to the cellular network in a call`, async (stage) => {
    const { uplink, downlink } = await moved(stage, browser, OPEN, (host) => host.cut('wifi'));
    assert.ok(Math.max(uplink, downlink) < WITHOUT_EVENT_MS, `${uplink}, ${downlink}`);
  });

  scenario(`${browser} gets another address in a call`, async (stage) => {
    const { uplink, downlink } = await moved(stage, browser, OPEN, (host) => host.readdress('wifi', '10.88.0.77'));
    assert.ok(Math.max(uplink, downlink) < WITHOUT_EVENT_MS, `${uplink}, ${downlink}`);
  });

  scenario(`${browser} goes on by TCP when UDP is blocked in a call`, async (stage) => {
    const { uplink, downlink, pair } = await moved(stage, browser, OPEN, (host) => host.blockUdp(FAR));
    const { local, remote } = pair;
    const tcp = remote.protocol === 'tcp' || ['tcp', 'tls'].includes(local.relayProtocol);
    assert.ok(tcp, JSON.stringify(pair));
    assert.ok(Math.max(uplink, downlink) < 2 * WITHOUT_EVENT_MS, `${uplink}, ${downlink}`);
  });

  scenario(`${browser} is found again behind a NAT that has forgotten it`, async (stage) => {
    let nat;
    natPort += 1;
    const port = natPort;
    try {
      const change = () => nat.rebind();
      const before = async (host) => {
        host.blockUdp(FAR);
        nat = await host.nat(port);
      };
      const { uplink, downlink } = await moved(stage, browser, behindNat(port), change, before);
      assert.ok(uplink < WITH_EVENT_MS, `uplink ${uplink}`);
      assert.ok(downlink < (browser === 'firefox' ? 6_000 : 3_000), `downlink ${downlink}`);
    } finally {
      nat?.stop();
    }
  });
}
