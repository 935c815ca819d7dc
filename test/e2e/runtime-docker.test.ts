import { runtimeContract } from '../../src/kubelet/runtime/runtime.contract.ts';
import { startDocker } from '../support/engines.ts';

runtimeContract('Docker Engine', startDocker);
