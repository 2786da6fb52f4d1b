/** A packet of the kernel's log as everybody is told of it: `ringwall logs`, the file for shipping, the book of what was observed. */
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import type { LogAction, LogCause, LogOrigin } from '../../rules-compiler/nft/log-prefix.ts'
import { evaluate } from '../../rules-compiler/policy/evaluate.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { NflogPacket } from './netlink.ts'
import type { PacketHeader } from './packet-header.ts'

/** One JSON object a line. Field names are a promise to scripts: they are added to, never renamed. */
export interface LogRecord {
  /** ISO 8601. */
  readonly time: string
  /** `observe`: it would have been dropped, and was let through. */
  readonly action: LogAction
  readonly eniId: string
  /** Left out where the ENI is no longer in the policy. */
  readonly instanceId?: string
  /** Whose rules decided. */
  readonly direction: Direction
  readonly cause: LogCause
  /** Of the causes `rule` and `inner-access`, as the policy in force says; left out where it says another cause by now. */
  readonly ruleId?: string
  readonly securityGroupId?: string
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `gre`, or the number of any other. */
  readonly protocol: string
  /** As they stood on the wire: before destination NAT, after source NAT. */
  readonly source: string
  readonly sourcePort?: number
  readonly destination: string
  readonly port?: number
  readonly icmpType?: number
  readonly icmpCode?: number
  /** Bytes from the IP header on. */
  readonly length: number
  /** Left out where the device is gone. */
  readonly device?: string
}

export interface RecordContext {
  /** In force when the record is read; null for none. */
  readonly policy: PolicyIr | null
  /** Names of devices by index. */
  readonly devices: ReadonlyMap<number, string>
  readonly nowMs: number
  /** Asking the policy for the rule takes time in proportion to the rules. */
  readonly findsRule: boolean
}

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(protocolNumbers).map(([name, number]) => [number, name]),
)

export function makeRecord(
  origin: LogOrigin,
  packet: NflogPacket,
  header: PacketHeader,
  { policy, devices, nowMs, findsRule }: RecordContext,
): LogRecord {
  const { action, eniId, direction, cause } = origin
  const eni = policy?.enis.find(({ id }) => id === eniId)
  const device = devices.get((packet.hook === prerouting ? packet.inIndex : packet.outIndex) ?? -1)
  return {
    time: new Date(packet.receivedAtMs ?? nowMs).toISOString(),
    action,
    eniId,
    ...(eni && { instanceId: eni.instanceId }),
    direction,
    cause,
    ...(eni && findsRule && findRule(policy!, origin, header)),
    protocol: names.get(header.protocol) ?? String(header.protocol),
    source: header.source,
    ...(header.ports && { sourcePort: header.ports.source }),
    destination: header.destination,
    ...(header.ports && { port: header.ports.destination }),
    ...(header.icmp && { icmpType: header.icmp.type, icmpCode: header.icmp.code }),
    length: header.length,
    ...(device !== undefined && { device }),
  }
}

/** NF_INET_PRE_ROUTING */
const prerouting = 0

/**
 * Which rule it was. The kernel says the cause and not the rule; the policy says both, and is believed where it says the
 * same cause: otherwise it has changed since. What is logged is what goes the way its session began, so the packet's
 * fields are the session's.
 */
function findRule(
  policy: PolicyIr,
  { eniId, direction, cause, action }: LogOrigin,
  header: PacketHeader,
): Pick<LogRecord, 'ruleId' | 'securityGroupId'> {
  if (cause !== 'rule' && cause !== 'inner-access') return {}
  const { verdict, reason } = evaluate(policy, {
    eniId,
    direction,
    protocol: header.protocol,
    source: header.source,
    destination: header.destination,
    sourcePort: header.ports?.source ?? 0,
    destinationPort: header.ports?.destination ?? 0,
    hopLimit: header.hopLimit,
    ...(header.icmp && { icmpType: header.icmp.type }),
  })
  if ((verdict === 'accept') !== (action === 'accept')) return {}
  if (cause === 'rule' && reason.kind === 'rule')
    return { ruleId: reason.rule.id, securityGroupId: reason.rule.groupId }
  return cause === 'inner-access' && reason.kind === 'inner-access' ? { securityGroupId: reason.groupId } : {}
}
