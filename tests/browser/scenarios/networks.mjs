// Networks that change in a call: another interface, another address, a NAT that forgets, a firewall that closes, a computer that
// sleeps. Ivan is the one who moves; Maria sits beside the server. What counts is how long either of them hears nothing.
import { strict as assert } from 'node:assert';

import { sleeping } from '../harness/browsers.mjs';
import { FAR, FAR_NAT } from '../harness/certificates.mjs';
import { FarHost, RENEWED } from '../harness/far-host.mjs';
import { decodes, hears, longestSilence, networkEvents, selectedPair, watchSound } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';
import { TIMELINE, timeline } from '../harness/timeline.mjs';
import { eventually, pause } from '../harness/wait.mjs';

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
/** Wide bounds, twice what is promised: the machine is busy. The figures themselves are told. */
const WITH_EVENT_MS = 3_000;
const WITHOUT_EVENT_MS = 6_000;
/** A leave is said again on another WebSocket once nothing answers it. */
const LEFT_MS = 8_000;
/** Longer than the server waits for a WebSocket (12 s) and for packets, shorter than the seat is kept (60 s). */
const ASLEEP_MS = 20_000;

/**
 * Ivan and Maria talk; `change` happens; both hear and see each other again in the same call, and the longest silences since
 * the change are told; then Ivan leaves, and Maria is told. `before` sets the network up. When `change` gives a time, silence counts
 * from there.
 */
async function moved({ t, arrive }, browser, { options = OPEN, before = async () => {}, change }) {
  const host = await FarHost.get();
  host.heal();
  const here = await server('sqlite', options, { open: true, host });
  const { direct, users } = await here.directory();
  await before(host);
  try {
    const ivan = await arrive(browser, here, 'ivan', { scripts: [TIMELINE] });
    const maria = await arrive('chromium-far', here, 'maria');
    await ivan.openChat(direct);
    await ivan.call('video');
    await maria.accept();
    await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan)]);
    await Promise.all([decodes(ivan, users.maria), decodes(maria, users.ivan)]);
    const { callId } = await ivan.inCall();
    await watchSound(ivan, users.maria);
    await watchSound(maria, users.ivan);
    const used = await selectedPair(ivan);
    const begun = Date.now();
    const since = (await change(host, used, ivan)) ?? begun;
    // Everything comes through again on every track, and it is the same call.
    await Promise.all([decodes(ivan, users.maria, { frames: 90 }), decodes(maria, users.ivan, { frames: 90 })]);
    await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan)]);
    const silence = { uplink: await longestSilence(maria, since), downlink: await longestSilence(ivan, since) };
    const events = (await networkEvents(ivan)).map(([type, at]) => `${type} ${at - since}`);
    if (process.env.E2E_TIMELINE === '1') t.diagnostic(`\n${await timeline(ivan, since)}`);
    const pair = await selectedPair(ivan);
    assert.equal((await ivan.inCall()).callId, callId);
    const leaving = Date.now();
    await ivan.click('leave-call');
    await maria.sees('call-ended');
    const left = Date.now() - leaving;
    t.diagnostic(`longest silence: ${JSON.stringify(silence)} ms; left after ${left} ms; told by the browser: ${events.join(', ') || 'nothing'}`);
    assert.ok(left < LEFT_MS, `${left} ms after the click on leave`);
    return { ...silence, longest: Math.max(silence.uplink, silence.downlink), used, pair };
  } finally {
    host.heal();
  }
}

const address = ({ local }) => local.address ?? local.ip;
/** The computer has this link alone. */
const without = (link) => async (host) => host.cut(link);

for (const browser of BROWSERS) {
  scenario(`${browser} goes from Wi-Fi to the cellular network in a call`, async (stage) => {
    const { longest, pair } = await moved(stage, browser, {
      before: without('cell'),
      change: (host) => {
        host.cut('wifi');
        host.connect('cell');
      },
    });
    assert.match(address(pair), /^10\.89\./);
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });

  scenario(`${browser} loses the one of two links that carries the media in a call`, async (stage) => {
    const { longest, used, pair } = await moved(stage, browser, {
      change: (host, pair) => host.cut(host.linkOf(address(pair))),
    });
    assert.notEqual(address(pair), address(used));
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });

  scenario(`${browser} loses the one of two links that carries the WebSocket in a call`, async (stage) => {
    // The dearer link, which only ICE uses on its own account; the page goes by the other.
    const { longest } = await moved(stage, browser, { change: (host) => host.cut('wifi') });
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });

  scenario(`${browser} gets another address in a call`, async (stage) => {
    const { longest, pair } = await moved(stage, browser, {
      before: without('cell'),
      change: (host) => host.readdress('wifi'),
    });
    assert.equal(address(pair), RENEWED);
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  });

  scenario(`${browser} is without any network for five seconds in a call`, async (stage) => {
    const { longest } = await moved(stage, browser, {
      change: async (host) => {
        host.offline();
        await pause(5_000);
        host.online();
        return Date.now();
      },
    });
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });

  scenario(`${browser} goes on by TCP when UDP is blocked in a call`, async (stage) => {
    const { longest, pair } = await moved(stage, browser, { change: (host) => host.blockUdp(FAR) });
    const { local, remote } = pair;
    const tcp = remote.protocol === 'tcp' || ['tcp', 'tls'].includes(local.relayProtocol);
    assert.ok(tcp, JSON.stringify(pair));
    assert.ok(longest < 2 * WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });

  scenario(`${browser} makes a new connection when a healed path brings pictures and no sound`, async (stage) => {
    let nat;
    natPort += 1;
    const port = natPort;
    try {
      await moved(stage, browser, {
        options: behindNat(port),
        before: async (host) => {
          host.blockUdp(FAR);
          nat = await host.nat(port);
        },
        change: async (host, pair, ivan) => {
          await ivan.page.evaluate(() => (window.oldPc = window.ringhall.pc()));
          nat.deafen();
          nat.rebind();
          // What the browser tells of where it has noticed the change itself.
          await ivan.page.evaluate(() => void dispatchEvent(new Event('online')));
          await eventually('the sound comes by another connection', () =>
            ivan.page.evaluate(() => window.ringhall.pc() !== window.oldPc && window.ringhall.pc()?.connectionState === 'connected'),
          );
        },
      });
    } finally {
      nat?.stop();
    }
  }, { long: true });

  scenario(`${browser} is found again behind a NAT that has forgotten it`, async (stage) => {
    let nat;
    natPort += 1;
    const port = natPort;
    try {
      const { uplink, downlink } = await moved(stage, browser, {
        options: behindNat(port),
        before: async (host) => {
          host.blockUdp(FAR);
          nat = await host.nat(port);
        },
        change: () => {
          nat.rebind();
        },
      });
      assert.ok(uplink < WITH_EVENT_MS, `uplink ${uplink}`);
      assert.ok(downlink < (browser === 'firefox' ? 6_000 : 3_000), `downlink ${downlink}`);
    } finally {
      nat?.stop();
    }
  }, { long: true });

  // Last: a browser that was asleep is slower afterwards.
  scenario(`${browser} sleeps in a call, longer than its WebSocket is waited for, and wakes up in it`, async (stage) => {
    const { longest } = await moved(stage, browser, {
      change: async () => {
        const wake = await sleeping(browser);
        await pause(ASLEEP_MS);
        wake();
        return Date.now();
      },
    });
    assert.ok(longest < WITHOUT_EVENT_MS, `${longest}`);
  }, { long: true });
}
