import { proxyBehaviour } from '../support/network/proxy.contract.ts';

proxyBehaviour('nftables');
