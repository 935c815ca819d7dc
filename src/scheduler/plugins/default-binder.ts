import { PODS } from '../../api/resource-types.ts';
import type { Client } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import type { BindPlugin } from '../framework.ts';
import { FITS, failed } from '../status.ts';

/** Binds by POSTing a Binding to the Pod. The uid keeps a Pod of the same name made meanwhile out of it. */
export function defaultBinder({ client }: { client: Client }): BindPlugin {
  return {
    name: 'DefaultBinder',
    wakeOn: [],

    async bind(_state, { namespace, uid, pod }, nodeName) {
      const { name } = pod.metadata;
      const binding = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
      };
      try {
        await client.createSubresource(PODS, { namespace, name }, 'binding', binding);
        return FITS;
      } catch (err) {
        return failed(errorMessage(err), err);
      }
    },
  };
}
