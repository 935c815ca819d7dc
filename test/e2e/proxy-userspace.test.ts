import { proxyBehaviour } from '../support/network/proxy.contract.ts';

proxyBehaviour('userspace', {
  dump: ['sh', '-c', 'iptables-save; ip6tables-save; nft list tables inet'],
  flush: [
    ['iptables', '-t', 'nat', '-F'],
    ['iptables', '-t', 'nat', '-X'],
    ['iptables', '-t', 'mangle', '-X'],
  ],
});
