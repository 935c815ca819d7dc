import type { DeviceClass, ResourceSlice } from '../../api/types.ts';
import type { Informer, Lister } from '../../client/client.ts';
import { ClaimBook, type ClaimInformer } from './claim-book.ts';
import { DevicePools } from './device-pools.ts';
import { ExtendedNames } from './extended-names.ts';

/** Devices, and who has them; one view for all profiles. Made before the queue hears of changes, so that it knows them first. */
export class DeviceView {
  readonly book: ClaimBook;
  readonly classes: Lister<DeviceClass>;
  readonly names: ExtendedNames;
  readonly #slices: Pick<Informer<ResourceSlice>, 'list' | 'addHandler'>;
  #pools: DevicePools | undefined;

  constructor(informers: {
    readonly resourceClaims: ClaimInformer;
    readonly resourceSlices: Pick<Informer<ResourceSlice>, 'list' | 'addHandler'>;
    readonly deviceClasses: Lister<DeviceClass> & Pick<Informer<DeviceClass>, 'addHandler'>;
  }) {
    this.book = new ClaimBook(informers.resourceClaims);
    this.classes = informers.deviceClasses;
    this.names = new ExtendedNames(informers.deviceClasses);
    this.#slices = informers.resourceSlices;
    const changed = () => {
      this.#pools = undefined;
    };
    this.#slices.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
  }

  get pools(): DevicePools {
    this.#pools ??= new DevicePools(this.#slices.list());
    return this.#pools;
  }
}
