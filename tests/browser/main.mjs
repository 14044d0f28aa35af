// Every scenario in one process, so that each browser and server is started once. Start it with ./run.
import { finish } from './harness/stage.mjs';

const rounds = Number(process.env.E2E_REPEAT ?? 1);

/** Topics that are run whole, E2E_TOPICS=check; networks, blocked, slow-tcp and ipv6 are run by their name alone. */
const named = process.env.E2E_TOPICS?.split(',');

const TOPICS = named ?? [
  'ring-and-talk',
  'not-answered',
  'tabs',
  'call-waiting',
  'group',
  'layers',
  'redundancy',
  'data',
  ...(process.env.E2E_LONG === '1' ? ['bad-network', 'narrow-link', 'limited'] : []),
  'shards',
  'moderation',
  'room',
  'guest',
  'alone',
  'choices',
  'history',
  'restart',
  'locked-sound',
  'relayed',
  'by-tcp',
  'proxied',
  'check',
  'appearance',
];

for (let round = 1; round <= rounds; round += 1) {
  // The query makes each round's modules new ones: they register their tests again, over the same browsers and servers.
  for (const topic of TOPICS) {
    await import(`./scenarios/${topic}.mjs?round=${round}`);
  }
}
await finish();
