import { FakeClock } from '../util/clock.fake.ts';
import { MemoryStorage } from './memory.fake.ts';
import { storageContract } from './storage.contract.ts';

storageContract('memory', async () => {
  const clock = new FakeClock();
  return {
    storage: new MemoryStorage(clock),
    passTime: (seconds) => clock.advance(seconds * 1000),
    dispose: async () => {},
  };
});
