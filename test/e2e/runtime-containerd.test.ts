import { runtimeContract } from '../../src/kubelet/runtime/runtime.contract.ts';
import { startContainerd } from '../support/engines.ts';

runtimeContract('containerd over CRI', startContainerd);
