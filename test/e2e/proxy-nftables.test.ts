import { proxyBehaviour } from '../support/network/proxy.contract.ts';

proxyBehaviour('nftables', {
  dump: ['nft', 'list', 'ruleset'],
  flush: [['nft', 'flush', 'ruleset']],
});
