/**
 * What daemon and agent say to each other: JSON, one message a WebSocket frame, over mutual TLS 1.3. How it goes on
 * from one message to the next is docs/push-protocol.md. A reader refuses what has not this shape and ignores fields it
 * does not know, so that fields can be added; anything else is a new `protocolVersion`.
 */
import type { DdosEvent, DdosSample, DdosStatus } from './ddos.ts'
import type { ObservedEni } from './observed.ts'
import type { ViewKey, ViewObject } from './view.ts'

export const protocolVersion = 1
/** Path of the WebSocket on the daemon's agent listener; needs a client certificate. */
export const pushPath = '/v1/agent'
/** Path of enrolment there (POST); needs none. */
export const enrolPath = '/v1/enrol'
/** Where an agent whose certificate has ended asks for another: JSON of a `RenewRequest`, by its certificate. */
export const renewPath = '/v1/renew'
/** The daemon sends a ping this often; an agent that hears nothing for three of them connects anew. */
export const heartbeatMs = 15_000
/** Largest frame an agent takes (a snapshot with all members), and largest a daemon takes. */
export const maxToAgentBytes = 64 * 1024 * 1024
export const maxToDaemonBytes = 1024 * 1024

export interface HostReport {
  readonly hostName: string
  readonly kernel: string
  readonly agentVersion: string
  readonly nftVersion: string
  /**
   * Feature to how it is done on this host, as the agent's probe names them; `observe` of agents that let through what
   * observed ENIs would drop, where older ones drop it.
   */
  readonly capabilities: Readonly<Record<string, string>>
  readonly devices: readonly ReportedDevice[]
  /**
   * Since when its administrator has it open (`ringwall panic`), so that nothing is enforced: ISO 8601, or null where that
   * is not known. Left out where it is not open.
   */
  readonly openSince?: string | null
  /**
   * What it does for this host besides what it is told, and no policy changes: accepts at every ENI of placement `host` what
   * comes from `rescue` (canonical blocks) to that TCP port, and what goes to its daemon at `controlConnections`. Both and
   * `rescuePorts` are left out by agents from before them.
   */
  readonly rescue?: readonly { readonly source: string; readonly port: number }[]
  readonly controlConnections?: readonly { readonly address: string; readonly port: number }[]
  /** TCP ports of the host whose sessions its lockout guard watches over. */
  readonly rescuePorts?: readonly number[]
}

/** Of a `HostReport`. */
export type HostExceptions = Pick<HostReport, 'rescue' | 'controlConnections' | 'rescuePorts'>

export interface ReportedDevice {
  readonly name: string
  readonly macAddress: string | null
  /** `veth`, `bridge`; null for hardware. */
  readonly kind: string | null
  readonly up: boolean
  readonly addresses: readonly string[]
}

/** Names one state of one store. */
export interface Position {
  readonly storeId: string
  readonly revision: number
}

export type ToDaemon =
  | {
      readonly type: 'hello'
      readonly protocolVersion: number
      readonly report: HostReport
      /** The view it holds, and the keys of it; null for none. */
      readonly view: (Position & { readonly keys: readonly ViewKey[] }) | null
      /** What stands in its kernel; null where that is nothing, or not known. */
      readonly enforced: Position | null
    }
  /** Its devices have changed. */
  | { readonly type: 'report'; readonly report: HostReport }
  /** The kernel has it. Speaks for every earlier revision too. */
  | {
      readonly type: 'enforced'
      readonly revision: number
      /** From the message's arrival until it stood in the kernel. */
      readonly seconds: number
      /** Of which in `nft`. */
      readonly nftSeconds: number
      readonly enis: readonly EniState[]
    }
  /** The kernel or the agent refused it; what stood before stays, and it is tried again. */
  | {
      readonly type: 'refused'
      readonly revision: number
      readonly error: { readonly kind: string; readonly message: string }
      readonly retryInMs: number
      /** It is in force on trial, for `retryInMs`; left out where it is not in force. */
      readonly trial?: TrialTold
    }
  /** How its instances stand; those that are left out stand as they did. Sent every few seconds where something moved. */
  | { readonly type: 'ddos-status'; readonly instances: readonly DdosStatus[] }
  /** An event is new or has changed. Sent again after a break, until it is answered. */
  | { readonly type: 'ddos-event'; readonly event: DdosEvent }
  /** Every second, of the instances that are watched. */
  | { readonly type: 'ddos-samples'; readonly samples: readonly DdosSample[] }
  /**
   * What its observed ENIs would have dropped; those that are left out are not observed. Whole each time, at most every
   * `observedReportMs`, and once more without ENIs when none is observed any more. Daemons from before it refuse it, and
   * have none observed: it is sent only where one is or was.
   */
  | { readonly type: 'observed'; readonly enis: readonly ObservedEni[] }
  /** Asks for a certificate for a new key. */
  | { readonly type: 'renew'; readonly publicKey: string; readonly proof: string }

/** A policy that may lock somebody out, and is taken back when its time is over. */
export interface TrialTold {
  /** Whom it would cut by what, one sentence each. */
  readonly cuts: readonly string[]
  /** Whether `confirm` ends it well. */
  readonly needsPerson: boolean
}

export interface EniState {
  readonly id: string
  readonly state: 'enforced' | 'device-missing' | 'no-group'
}

export type ToAgent =
  /** All there is; replaces whatever the agent held. */
  | ({ readonly type: 'snapshot'; readonly objects: readonly ViewObject[] } & Position)
  /** From the state the agent holds to `revision`. */
  | ({
      readonly type: 'delta'
      /** New or changed, whole. */
      readonly set: readonly ViewObject[]
      readonly remove: readonly ViewKey[]
      /** Groups the agent holds the members of already. Adding one that is there, or the reverse, changes nothing. */
      readonly members: readonly MembersDelta[]
    } & Position)
  | { readonly type: 'renewed'; readonly certificate: string }
  /** The daemon has the event, in this version or a later one, on disk; or will never take it (it says why in its log). */
  | { readonly type: 'ddos-event-kept'; readonly eventId: string; readonly version: number }
  /** Somebody watches these instances; replaces what was said before. Forgotten with the connection. */
  | { readonly type: 'ddos-watch'; readonly instanceIds: readonly string[] }
  /** An operator wants the policy of this revision, which is on trial. Nothing where it is another that is. */
  | { readonly type: 'confirm'; readonly revision: number }
  /** Why the daemon ends the connection; a code of `goodbyeCodes`. */
  | { readonly type: 'goodbye'; readonly code: GoodbyeCode; readonly message: string }

export interface MembersDelta {
  readonly id: string
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** After `revoked` an agent does not come back; after any other it does, later each time. */
export const goodbyeCodes = ['revoked', 'replaced', 'bad-message', 'protocol', 'unanswered', 'stopping'] as const
export type GoodbyeCode = (typeof goodbyeCodes)[number]
