// A network whose firewall swallows UDP, both ways and without a word, from before the call on: Ivan is behind it, and each call
// finds another way. What counts is how long he waits from the click on "accept" until he sees and is seen.
import { strict as assert } from 'node:assert';

import { FAR } from '../harness/certificates.mjs';
import { FarHost } from '../harness/far-host.mjs';
import { decodes, hears, selectedPair } from '../harness/media.mjs';
import { BROWSERS, scenario, server } from '../harness/stage.mjs';
import { since, TIMELINE, timeline } from '../harness/timeline.mjs';
import { eventually } from '../harness/wait.mjs';

const OPTIONS = { RINGHALL_MEDIA_LISTEN: `${FAR}:0` };
/** Twice what is promised: the machine is busy. */
const FIRST_MS = 4_000;

/** What the page may use, and what then carries the call. Each server knows of this network only what the scenarios before it found out. */
const WAYS = [
  ['finds a way in a network that nobody knows', { whose: 'any' }, {}, () => true],
  ['finds a way where others had to', { whose: 'any' }, {}, () => true],
  ['goes by ICE-TCP alone', { whose: 'tcp' }, { directOnly: true }, ({ remote }) => remote.protocol === 'tcp'],
  ['goes by TURN over TCP alone', { whose: 'relay' }, { relayOnly: '^turn:.*transport=tcp' }, ({ local }) => (local.relayProtocol ?? 'tcp') === 'tcp'],
  ['goes by TURN over TLS alone', { whose: 'relay' }, { relayOnly: '^turns:' }, ({ local }) => (local.relayProtocol ?? 'tls') === 'tls'],
  ['goes by TURN over TLS alone where others went by ICE-TCP', { whose: 'tcp' }, { relayOnly: '^turns:' }, ({ local }) => (local.relayProtocol ?? 'tls') === 'tls'],
];

for (const browser of BROWSERS) {
  for (const [what, { whose }, how, fits] of WAYS) {
    scenario(`${browser} ${what} behind a firewall that swallows UDP`, async ({ t, arrive, afterwards }) => {
      const host = await FarHost.get();
      host.heal();
      afterwards(() => host.heal());
      const here = await server('sqlite', OPTIONS, { open: true, host, whose: `${browser}-${whose}` });
      const { direct, users } = await here.directory();
      host.blockUdp(FAR);
      const maria = await arrive('chromium-far', here, 'maria', { scripts: [TIMELINE] });
      const ivan = await arrive(browser, here, 'ivan', { ...how, scripts: [TIMELINE] });
      await maria.openChat(direct);
      await maria.call('video');
      await ivan.sees('incoming-call');
      const asked = Date.now();
      await ivan.accept();
      const first = (person) => eventually(`${person.login} sees a first picture`, () => since(person, asked, 'video of'), 60_000);
      let pictures;
      try {
        pictures = await Promise.all([first(ivan), first(maria)]);
      } finally {
        if (process.env.E2E_TIMELINE === '1') t.diagnostic(`\n${await timeline(ivan, asked)}`);
      }
      const clicked = await since(ivan, asked, 'click on incoming-accept');
      const [sees, isSeen] = pictures.map((at) => at - clicked);
      t.diagnostic(`a picture ${sees} ms after the click, seen by the other after ${isSeen} ms`);
      await Promise.all([hears(ivan, users.maria), hears(maria, users.ivan), decodes(ivan, users.maria), decodes(maria, users.ivan)]);
      const pair = await selectedPair(ivan);
      assert.ok(fits(pair) && (pair.remote.protocol === 'tcp' || pair.local.candidateType === 'relay'), JSON.stringify(pair));
      assert.ok(Math.max(sees, isSeen) < FIRST_MS, `${sees}, ${isSeen}`);
      await ivan.click('leave-call');
      await maria.sees('call-ended');
    }, { long: whose !== 'any' });
  }
}
