import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NODES } from '../../api/resource-types.ts';
import { World } from '../world.fake.ts';
import { nodeIpamController } from './node-ipam-controller.ts';

const OPTIONS = { allocateNodeCidrs: true, clusterCidrs: ['10.244.0.0/22'] };
let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

const seed = (...names: string[]) =>
  world.client.seed(NODES, ...names.map((name) => ({ metadata: { name } }) as never));
const parts = () => world.client.all(NODES).map(({ spec }) => spec?.podCIDR);

describe('node IPAM', () => {
  it('gives each node a part of its own, and that of a node that is gone to the next one', async () => {
    seed('a', 'b', 'c', 'd');
    world.start([nodeIpamController], OPTIONS);
    await world.until(() => expect(new Set(parts())).toHaveProperty('size', 4));
    expect(parts()).not.toContain(undefined);
    const [first] = parts();
    await world.client.delete(NODES, { namespace: '', name: 'a' });
    seed('e');
    await world.until(() => expect(parts().at(-1)).toBe(first));
  });

  it('gives no part twice when the answers to its writes are lost, though the nodes have shown them', async () => {
    const { patch } = world.client;
    const lost: string[] = [];
    world.client.patch = async (...args) => {
      const written = await patch.apply(world.client, args);
      await world.until(() =>
        expect(world.informers.get(NODES).list()).toEqual(world.client.all(NODES)),
      );
      lost.push(args[1].name);
      if (lost.length <= 3) throw new Error('connection lost');
      return written as never;
    };
    seed('a', 'b', 'c', 'd');
    world.start([nodeIpamController], OPTIONS);
    await world.until(() => expect(lost).toHaveLength(4));
    await world.atRest();
    expect(new Set(parts()).size).toBe(4);
    await world.client.delete(NODES, { namespace: '', name: 'b' });
    seed('e');
    await world.until(() => expect(parts().at(-1)).toBeDefined());
    expect(new Set(parts()).size).toBe(4);
  });
});
