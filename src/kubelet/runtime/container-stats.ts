/** What an engine measures, in the shape of CRI v1. Null: it does not know. */
interface Figure {
  value: number;
}

export interface FilesystemUsage {
  timestamp: number;
  fsId: { mountpoint: string } | null;
  usedBytes: Figure | null;
  inodesUsed: Figure | null;
}

export interface ContainerStats {
  attributes: {
    id: string;
    metadata: { name: string; attempt: number };
    labels: Record<string, string>;
  };
  cpu: {
    timestamp: number;
    usageCoreNanoSeconds: Figure | null;
    usageNanoCores: Figure | null;
  } | null;
  memory: {
    timestamp: number;
    workingSetBytes: Figure | null;
    availableBytes: Figure | null;
    usageBytes: Figure | null;
    rssBytes: Figure | null;
    pageFaults: Figure | null;
    majorPageFaults: Figure | null;
  } | null;
  writableLayer: FilesystemUsage | null;
}
