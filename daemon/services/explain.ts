/**
 * What decides about a packet at a network interface, by the state as it stands and what the agent has
 * said of its host; agents may be a little behind.
 */
import { familyOf, parseAddress } from '../../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import { evaluate } from '../../rules-compiler/policy/evaluate.ts'
import { explainJson, explainText } from '../../rules-compiler/policy/explain.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import type { HostReport } from '../../wire/messages.ts'
import { policyDocument } from '../../wire/view.ts'
import { type FieldError, fieldError, refused } from '../errors.ts'
import type { EniDoc } from '../model/documents.ts'
import { viewKeysOfEni, viewObject } from '../push/views.ts'
import type { PacketQuestion, ShownExplanation } from '../schemas/explain.ts'
import type { World } from '../state/world.ts'
import { type Principal, visible } from './principal.ts'

/** @throws {ApiError} 400 with everything that is wrong with the packet, or where there is no such network interface */
export function explainPacket(world: World, principal: Principal, question: PacketQuestion): ShownExplanation {
  const eni = visible(world, principal, 'eni', question.networkInterfaceId, 'networkInterfaceId')
  const packet = readPacket(question)
  const objects = [...viewKeysOfEni(world, eni.id)].flatMap(key => viewObject(world, key) ?? [])
  const { rescue = [], controlConnections = [] } = reportOfHost(world, eni) ?? {}
  // Which device it is makes no difference to the verdict.
  const options = { deviceOf: () => 'eth0', rescue, controlConnections }
  const { policy, problems } = checkPolicy(policyDocument(objects, options))
  if (policy === null) throw new Error(`Cannot explain at ${eni.id}: ${problems.map(formatProblem).join('; ')}`)
  const ir = resolvePolicy(policy)
  const decision = evaluate(ir, packet)
  const { matchingRules, ...explanation } = explainJson(decision, packet)
  return {
    revision: world.revision,
    ...explanation,
    matchingRules: [...matchingRules],
    text: explainText(decision, packet, ir),
  }
}

/** What the agent that serves it has said; null where that is nothing, or none does. */
function reportOfHost(world: World, { instanceId }: EniDoc): HostReport | null {
  const agentId = instanceId === null ? null : world.get('instance', instanceId)?.agentId
  return agentId == null ? null : (world.get('agent', agentId)?.report ?? null)
}

/** An ephemeral port as any client could have. */
const defaultSourcePort = 40_000

function readPacket(question: PacketQuestion): Packet {
  const errors: FieldError[] = []
  const source = readAddress('source', question, errors)
  const destination = readAddress('destination', question, errors)
  if (source !== null && destination !== null && familyOf(source) !== familyOf(destination)) {
    const expected = 'an address of the same family as the source'
    errors.push(fieldError('conflict', 'destination', { action: 'use', value: destination, expected }))
  }
  const protocol = readProtocol(question.protocol, errors)
  const ports = readPorts(question, protocol, errors)
  const icmpType = readIcmpType(question, protocol, errors)
  if (errors.length > 0 || source === null || destination === null) throw refused(errors)
  const { networkInterfaceId: eniId, direction } = question
  return { eniId, direction, protocol, source, destination, ...ports, ...(icmpType !== null && { icmpType }) }
}

function readAddress(field: 'source' | 'destination', question: PacketQuestion, errors: FieldError[]): string | null {
  const address = parseAddress(question[field])
  if (address !== null) return address
  const expected = 'one IPv4 or IPv6 address'
  errors.push(fieldError('invalid-value', field, { action: 'read address', value: question[field], expected }))
  return null
}

/** @returns -1 where it is none */
function readProtocol(given: string | number, errors: FieldError[]): number {
  if (typeof given === 'number') return given
  const name = given.toLowerCase()
  if (Object.hasOwn(protocolNumbers, name)) return protocolNumbers[name as keyof typeof protocolNumbers]
  if (/^\d{1,3}$/.test(name) && Number(name) <= 255) return Number(name)
  const expected = 'tcp, udp, icmp, icmpv6, gre or a number from 0 to 255'
  errors.push(fieldError('invalid-value', 'protocol', { action: 'read protocol', value: given, expected }))
  return -1
}

function readPorts({ sourcePort, port }: PacketQuestion, protocol: number, errors: FieldError[]) {
  if (protocol === protocolNumbers.tcp || protocol === protocolNumbers.udp) {
    if (port === undefined) {
      errors.push(fieldError('missing', 'port', { action: 'do without port', expected: 'one for tcp and udp' }))
    }
    return { sourcePort: sourcePort ?? defaultSourcePort, destinationPort: port ?? 0 }
  }
  for (const [field, value] of Object.entries({ sourcePort, port })) {
    if (value === undefined || protocol === -1) continue
    errors.push(fieldError('conflict', field, { action: 'use port', value, expected: 'none but for tcp and udp' }))
  }
  return { sourcePort: 0, destinationPort: 0 }
}

/** @returns null where the protocol has none */
function readIcmpType({ icmpType }: PacketQuestion, protocol: number, errors: FieldError[]): number | null {
  if (protocol === protocolNumbers.icmp) return icmpType ?? 8
  if (protocol === protocolNumbers.icmpv6) return icmpType ?? 128
  if (icmpType !== undefined && protocol !== -1) {
    const expected = 'none but for icmp and icmpv6'
    errors.push(fieldError('conflict', 'icmpType', { action: 'use type', value: icmpType, expected }))
  }
  return null
}
