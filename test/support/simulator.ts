/**
 * Walks a compiled ruleset as the kernel would for a packet of a session: an interpreter of the few nft statements
 * Ringwall emits, which shares no code with the compiler beyond the ruleset's types. What it does not know it refuses,
 * so a new statement cannot pass unnoticed.
 */
import { addressValue, familyOf, parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import type {
  Expression,
  FieldValue,
  NftRule,
  Operand,
  Ruleset,
  Statement,
  Verdict,
} from '../../rules-compiler/nft/ruleset.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'

export interface Simulated {
  readonly verdict: 'accept' | 'drop'
  /** Conntrack mark afterwards. */
  readonly mark: number
  /** The last counter that counted: a counter's name, or the id of a rule. */
  readonly counted: string | null
  /** Prefixes of what was logged, limits being taken for never reached. */
  readonly logged: readonly string[]
  /** Set and map lookups made. */
  readonly lookups: number
}

export interface Place {
  readonly device: string
  /** Kernel index of the device; 0, which no device has, where left out. */
  readonly deviceIndex?: number
  readonly placement: Placement
  /** The session's mark before; 0, that of a new session, where left out. */
  readonly mark?: number
  /** Whether conntrack has kept the session's entry, which it does once its first packet has got through. */
  readonly isConfirmed?: boolean
  /** Judge the answer to the packet, which takes the other hook, in place of the packet itself. */
  readonly answer?: boolean
  /** Judge the copy of a multicast or broadcast that went out here, which the kernel hands back by the same device. */
  readonly isLooped?: boolean
}

interface State {
  readonly ruleset: Ruleset
  /** The first packet of the session: conntrack's original direction. */
  readonly session: Packet
  /** What stands on the wire: the first packet or its answer. */
  readonly wire: Packet
  readonly ctDirection: 'original' | 'reply'
  readonly device: string
  readonly deviceIndex: number
  readonly hook: 'prerouting' | 'postrouting'
  readonly ctState: 'new' | 'established' | 'invalid' | 'untracked'
  readonly isConfirmed: boolean
  /** Only what is handed back has a route before it was routed. */
  readonly isRouted: boolean
  readonly logged: string[]
  mark: number
  counted: string | null
  lookups: number
}

type Value = number | bigint | string

/**
 * @param packet  the first packet of a session
 * @param at      where it passes, and what the session's mark says by then
 */
export function simulate(ruleset: Ruleset, packet: Packet, at: Place): Simulated {
  const answer = at.answer ?? false
  const incoming = (at.placement === 'host') === ((packet.direction === 'ingress') !== answer)
  const isLooped = at.isLooped ?? false
  const hook = incoming || isLooped ? 'prerouting' : 'postrouting'
  const ctState = ctStateOf(packet)
  if (answer && ctState !== 'new') throw new Error(`No session, no answer: conntrack calls the packet ${ctState}`)
  const state: State = {
    ruleset,
    session: packet,
    wire: answer ? answerOf(packet) : packet,
    ctDirection: answer ? 'reply' : 'original',
    device: at.device,
    deviceIndex: at.deviceIndex ?? 0,
    hook,
    ctState: answer ? 'established' : ctState,
    isConfirmed: answer || (at.isConfirmed ?? false),
    isRouted: isLooped,
    logged: [],
    mark: at.mark ?? 0,
    counted: null,
    lookups: 0,
  }
  const base = [...ruleset.chains.values()].find(chain => chain.base?.hook === hook)
  const verdict = (base === undefined ? null : walk(state, base.name)) ?? 'accept'
  const { mark, counted, logged, lookups } = state
  return { verdict, mark, counted, logged, lookups }
}

function answerOf(packet: Packet): Packet {
  const { source, destination, sourcePort, destinationPort } = packet
  return {
    ...packet,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
  }
}

/** As nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c sort first packets; each knows its own family only. */
function ctStateOf({ protocol, source, icmpType }: Packet): 'new' | 'invalid' | 'untracked' {
  const family = familyOf(source)
  if (protocol === 58) {
    if (family === 'ip') return 'invalid'
    const type = icmpType ?? 128
    if ((type >= 130 && type <= 136) || type === 143) return 'untracked'
    return type === 128 || type === 139 ? 'new' : 'invalid'
  }
  if (protocol === 1) return family === 'ip' && [8, 13, 15, 17].includes(icmpType ?? 8) ? 'new' : 'invalid'
  return 'new'
}

/** The verdict of a chain, or null where it ends without one (return). */
function walk(state: State, name: string): 'accept' | 'drop' | null {
  const chain = state.ruleset.chains.get(name)
  if (chain === undefined) throw new Error(`Jump to chain "${name}" that does not exist`)
  for (const rule of chain.rules) {
    const verdict = apply(state, rule)
    if (verdict === 'stop') return null
    if (verdict !== null) return verdict
  }
  return null
}

function apply(state: State, rule: NftRule): 'accept' | 'drop' | 'stop' | null {
  for (const statement of rule.statements) {
    const result = execute(state, statement, rule)
    if (result === 'break') return null
    if (result === 'next') continue
    if ('accept' in result) return 'accept'
    if ('drop' in result) return 'drop'
    if ('jump' in result) return walk(state, result.jump.target)
    return walk(state, result.goto.target) ?? 'stop'
  }
  return null
}

function execute(state: State, statement: Statement, rule: NftRule): Verdict | 'break' | 'next' {
  if ('match' in statement) {
    const { op, left, right } = statement.match
    const holds = matches(state, left, right)
    if (holds === null) return 'break'
    return holds === (op !== '!=' && op !== '!') ? 'next' : 'break'
  }
  if ('vmap' in statement) return lookUpVerdict(state, statement.vmap.key, statement.vmap.data) ?? 'break'
  if ('mangle' in statement) {
    const mark = evaluate(state, statement.mangle.value)
    // Without a conntrack entry there is no mark to read: the rule ends there (nft_ct_get_eval, NFT_BREAK).
    if (mark === null) return 'break'
    state.mark = Number(mark)
    return 'next'
  }
  if ('ct timeout' in statement) {
    if (!state.ruleset.ctTimeouts.has(statement['ct timeout'])) throw new Error('Timeout object does not exist')
    return 'next'
  }
  if ('limit' in statement) {
    if (!state.ruleset.limits.has(statement.limit)) throw new Error('Limit object does not exist')
    return 'next'
  }
  if ('log' in statement) {
    state.logged.push(statement.log.prefix)
    return 'next'
  }
  if ('counter' in statement) {
    state.counted = statement.counter ?? rule.ruleId ?? null
    return 'next'
  }
  return statement
}

/** Null where the expression cannot be read from this packet: the rule ends there. */
function matches(state: State, left: Expression, right: Operand): boolean | null {
  if (typeof right === 'string' && right.startsWith('@')) return isElement(state, left, right.slice(1))
  const value = evaluate(state, left)
  return value === null ? null : operandHolds(value, right)
}

function operandHolds(value: Value, operand: Operand): boolean {
  if (typeof operand === 'number') return value === operand
  if (typeof operand === 'string') return value === operand || icmpTypes[operand] === value
  if ('set' in operand) return operand.set.some(each => operandHolds(value, each))
  if ('range' in operand) return operand.range[0] <= Number(value) && Number(value) <= operand.range[1]
  return inBlock(String(value), `${operand.prefix.addr}/${operand.prefix.len}`)
}

function inBlock(address: string, block: string): boolean {
  const cidr = parseCidr(block)!
  const value = addressValue(address)
  return familyOf(address) === cidr.family && cidr.first <= value && value <= cidr.last
}

const icmpTypes: Readonly<Record<string, number>> = {
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'nd-router-solicit': 133,
  'nd-router-advert': 134,
  'nd-neighbor-solicit': 135,
  'nd-neighbor-advert': 136,
  'mld2-listener-report': 143,
}

function isElement(state: State, left: Expression, setName: string): boolean | null {
  state.lookups += 1
  const { memberSets, intervalSets } = state.ruleset
  if ('concat' in left) {
    const set = intervalSets.get(setName)
    if (set === undefined) throw new Error(`Lookup in set "${setName}" that does not exist`)
    const values = left.concat.map(part => evaluate(state, part))
    if (values.includes(null)) return null
    const found = set.elements.find(element => element.key.every((field, index) => inField(values[index]!, field)))
    if (found !== undefined) state.counted = found.ruleId
    return found !== undefined
  }
  const set = memberSets.get(setName)
  if (set === undefined) throw new Error(`Lookup in set "${setName}" that does not exist`)
  const value = evaluate(state, left)
  return value === null ? null : set.addresses.has(String(value))
}

function inField(value: Value, field: FieldValue): boolean {
  if ('text' in field) return inBlock(String(value), field.text)
  return field.first <= Number(value) && Number(value) <= field.last
}

function lookUpVerdict(state: State, key: Expression, data: string): Verdict | undefined {
  const value = evaluate(state, key)
  if (value === null) return undefined
  state.lookups += 1
  const map = state.ruleset.verdictMaps.get(data.slice(1))
  if (map === undefined) throw new Error(`Lookup in map "${data}" that does not exist`)
  return map.elements.get(String(value))
}

function evaluate(state: State, expression: Expression): Value | null {
  if ('&' in expression) return bitwise(state, expression['&'], (a, b) => a & b)
  if ('|' in expression) return bitwise(state, expression['|'], (a, b) => a | b)
  if ('meta' in expression) return metaValue(state, expression.meta.key)
  if ('payload' in expression) return payloadValue(state.wire, expression.payload)
  if ('rt' in expression) return nextHop(state, expression.rt)
  if ('ct' in expression) return ctValue(state, expression.ct)
  throw new Error(`Unknown expression ${JSON.stringify(expression)}`)
}

function bitwise(
  state: State,
  [left, right]: readonly [Expression, number],
  combine: (a: number, b: number) => number,
): number | null {
  const value = evaluate(state, left)
  return value === null ? null : combine(Number(value), right) >>> 0
}

function metaValue(state: State, key: string): Value | null {
  if (key === 'nfproto') return familyOf(state.wire.source) === 'ip' ? 'ipv4' : 'ipv6'
  const side = state.hook === 'prerouting' ? 'iif' : 'oif'
  if (key === `${side}name`) return state.device
  return key === side ? state.deviceIndex : null
}

/** Which it is makes no difference to any rule of ours. */
function nextHop({ isRouted, hook, wire }: State, { family }: { readonly family: string }): Value | null {
  if (hook !== 'prerouting') throw new Error('Next hop read where every packet has one')
  return isRouted && familyOf(wire.destination) === family ? 'some next hop' : null
}

function payloadValue(packet: Packet, { protocol, field }: { protocol: string; field: string }): Value | null {
  const family = familyOf(packet.source)
  switch (`${protocol} ${field}`) {
    case 'ip saddr':
      return family === 'ip' ? packet.source : null
    case 'ip6 saddr':
      return family === 'ip6' ? packet.source : null
    case 'ip6 hoplimit':
      return family === 'ip6' ? (packet.hopLimit ?? 64) : null
    case 'udp sport':
      return packet.protocol === 17 ? packet.sourcePort : null
    case 'udp dport':
      return packet.protocol === 17 ? packet.destinationPort : null
    case 'icmpv6 type':
      return family === 'ip6' && packet.protocol === 58 ? (packet.icmpType ?? 128) : null
    default:
      throw new Error(`Unknown payload ${protocol} ${field}`)
  }
}

/** The reply tuple is the original one turned round: the simulator knows no NAT. */
function ctValue(state: State, { key, dir }: { readonly key: string; readonly dir?: string }): Value | null {
  if (key === 'state') return state.ctState
  if (state.ctState === 'invalid' || state.ctState === 'untracked') return null
  if (key === 'mark') return state.mark
  if (key === 'direction') return state.ctDirection
  if (key === 'status') return state.isConfirmed ? 'confirmed' : ''
  if (key === 'protocol') return state.session.protocol
  const tuple = dir === 'reply' ? answerOf(state.session) : state.session
  const family = familyOf(tuple.source)
  switch (key) {
    case 'proto-src':
    case 'proto-dst':
      // An ICMP tuple holds identifier, type and code there, which no rule means.
      if (tuple.protocol !== 6 && tuple.protocol !== 17) throw new Error(`Port of protocol ${tuple.protocol} read`)
      return key === 'proto-src' ? tuple.sourcePort : tuple.destinationPort
    case `${family} saddr`:
      return tuple.source
    case `${family} daddr`:
      return tuple.destination
    default:
      return null
  }
}
