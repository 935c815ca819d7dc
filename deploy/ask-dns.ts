import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** `node deploy/ask-dns.ts SERVER NAME`: prints the addresses of a name as soon as a server knows it; tries for 30 s. */
const [server = '', name = ''] = process.argv.slice(2);
const deadline = Date.now() + 30_000;
const resolver = new Resolver({ timeout: 1000, tries: 1 });
resolver.setServers([server]);
for (;;) {
  try {
    process.stdout.write(`${(await resolver.resolve4(name)).join(' ')}\n`);
    break;
  } catch (err) {
    if (Date.now() > deadline) throw err;
    await sleep(50);
  }
}
