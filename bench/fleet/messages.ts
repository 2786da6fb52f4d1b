/** What the three kinds of processes of the simulator say to each other. */

/** What a process of the daemon is started with. */
export interface DaemonStart {
  readonly folder: string
  readonly agents: number
  /** 0 chooses one. */
  readonly port: number
}

export type ToDaemonProcess =
  /** A member more that all agents see; answered when all have acknowledged it. */
  { readonly type: 'change'; readonly member: number } | { readonly type: 'measure' }

export type FromDaemonProcess =
  /** It serves. */
  | { readonly type: 'ready'; readonly port: number; readonly startMs: number }
  /** Every agent has acknowledged what there is; told whenever it becomes so. */
  | { readonly type: 'all-in-sync' }
  | { readonly type: 'changed'; readonly commitMs: number; readonly enforcedMs: number; readonly enforced: number }
  | ({ readonly type: 'measured' } & Measures)

export interface Measures {
  readonly residentBytes: number
  readonly heapBytes: number
  /** Since the process started. */
  readonly cpuMs: number
  readonly atMs: number
  readonly snapshots: number
  readonly deltas: number
}

export interface AgentsStart {
  /** File of one `FleetCredentials` a line. */
  readonly credentials: string
  /** Lines that are this process's. */
  readonly first: number
  readonly count: number
  readonly port: number
  /** Connections that are made at once. */
  readonly atOnce: number
}

/** Answered whenever anything is asked: what has happened so far. */
export interface FromAgentsProcess {
  readonly resumed: number
  readonly failures: number
  readonly snapshots: number
  readonly deltas: number
}

export interface FleetCredentials {
  readonly agentId: string
  /** PEM. */
  readonly privateKey: string
  readonly certificate: string
  readonly caCertificate: string
}
