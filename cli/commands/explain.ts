/** `ringwall explain [FILE]`: what decides about a packet, by a policy file or by what the daemon has. */
import { familyOf, parseAddress } from '../../rules-compiler/address/cidr.ts'
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import { evaluate } from '../../rules-compiler/policy/evaluate.ts'
import { explainJson, explainText } from '../../rules-compiler/policy/explain.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { protocolText } from '../../rules-compiler/policy/rule-text.ts'
import { choiceFlag, numberFlag, onlyFile, parseArguments, requireFlag } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'
import { hostFlagsHelp, hostPolicyFlags, loadHostPolicy } from '../host-agent.ts'
import { withDaemon } from '../operate/noun-command.ts'

const usage = `usage: ringwall explain [FILE] --eni ENI --direction ingress|egress --protocol NAME
                        --source ADDRESS --destination ADDRESS [--port PORT] [--json] …

Says what the policy does with a packet that begins a session, and which rule, default or other
reason decides. Nothing is sent and nothing is loaded. Exit code 0 whatever the verdict.

  FILE                   policy file in YAML or JSON; - for standard input. Left out, the daemon
                         is asked, of what it has now
  --eni ENI              the ENI the packet passes, by id; for the daemon also by an address
  --direction DIRECTION  ingress: towards the instance; egress: from it
  --protocol NAME        tcp, udp, icmp, icmpv6, gre or a protocol number
  --source ADDRESS       source address as it stands on the wire
  --source-port PORT     tcp and udp: source port; 40000 if left out
  --destination ADDRESS  destination address as it stands on the wire
  --port PORT            tcp and udp: destination port
  --icmp-type NUMBER     icmp and icmpv6: message type; an echo request if left out
  --hop-limit NUMBER     IPv6 hop limit or IPv4 TTL; 64 if left out
  --json                 the same in stable fields for machines
${hostFlagsHelp(25)}  --context NAME         without FILE: the daemon of this context
  --url URL              without FILE: the daemon at this address
  --token TOKEN          without FILE: an API token
`

const options = {
  eni: { type: 'string' },
  direction: { type: 'string' },
  protocol: { type: 'string' },
  source: { type: 'string' },
  'source-port': { type: 'string' },
  destination: { type: 'string' },
  port: { type: 'string' },
  'icmp-type': { type: 'string' },
  'hop-limit': { type: 'string' },
  json: { type: 'boolean' },
  ...hostPolicyFlags,
  context: { type: 'string' },
  url: { type: 'string' },
  token: { type: 'string' },
} as const

type Flags = ReturnType<typeof parseArguments<typeof options>>['values']

const ports = [0, 65_535] as const
const octet = [0, 255] as const
/** An ephemeral port as any client could have. */
const defaultSourcePort = '40000'

export const command: Command = { name: 'explain', summary: 'say what decides about a packet', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  if (positionals.length === 0) return askDaemon(values, io)
  const file = onlyFile(positionals)
  const needless = (['context', 'url', 'token'] as const).find(flag => values[flag] !== undefined)
  if (needless !== undefined) throw new UsageError(`--${needless} is for asking the daemon, without FILE`)
  const packet = readPacket(values)
  const { policy } = await loadHostPolicy(file, values, io)
  const ir = resolvePolicy(policy)
  requireEni(ir, packet.eniId)
  const decision = evaluate(ir, packet)
  io.stdout.write(
    values.json ? `${JSON.stringify(explainJson(decision, packet), null, 2)}\n` : explainText(decision, packet, ir),
  )
  return 0
}

async function askDaemon(flags: Flags, io: Io): Promise<number> {
  const needing = (['hop-limit', 'rescue', 'config'] as const).find(flag => flags[flag] !== undefined)
  if (needing !== undefined) throw new UsageError(`--${needing} needs a policy FILE`)
  const { eniId, direction, protocol, source, sourcePort, destination, destinationPort, icmpType } = readPacket(flags)
  const hasPorts = protocol === protocolNumbers.tcp || protocol === protocolNumbers.udp
  const question = {
    direction,
    protocol: protocolText(protocol).replace(/^protocol /, ''),
    source,
    destination,
    ...(hasPorts && { sourcePort, port: destinationPort }),
    ...(icmpType !== undefined && { icmpType }),
  }
  return withDaemon(flags, { io, env: process.env }, async daemon => {
    const networkInterfaceId = await daemon.idOf('eni', eniId)
    const answer = await daemon.client.ask<{ readonly text: string }>('/v1/explain', {
      networkInterfaceId,
      ...question,
    })
    io.stdout.write(flags.json ? `${JSON.stringify(answer, null, 2)}\n` : answer.text)
    return 0
  })
}

function readPacket(flags: Flags): Packet {
  const eniId = requireFlag('eni', flags.eni)
  const direction = choiceFlag('direction', requireFlag('direction', flags.direction), ['ingress', 'egress'])
  const protocol = readProtocol(requireFlag('protocol', flags.protocol))
  const source = readAddress('source', requireFlag('source', flags.source))
  const destination = readAddress('destination', requireFlag('destination', flags.destination))
  if (familyOf(source) !== familyOf(destination)) {
    throw new UsageError(`--source "${source}" and --destination "${destination}" are not of one address family`)
  }
  return {
    eniId,
    direction,
    protocol,
    source,
    destination,
    ...readPorts(flags, protocol),
    ...readIcmpType(flags, protocol),
    ...(flags['hop-limit'] === undefined ? {} : { hopLimit: numberFlag('hop-limit', flags['hop-limit'], octet) }),
  }
}

function readProtocol(text: string): number {
  const name = text.toLowerCase()
  if (Object.hasOwn(protocolNumbers, name)) return protocolNumbers[name as keyof typeof protocolNumbers]
  if (/^\d+$/.test(text)) return numberFlag('protocol', text, octet)
  throw new UsageError(`--protocol is "${text}", expected tcp, udp, icmp, icmpv6, gre or a number from 0 to 255`)
}

function readAddress(flag: string, text: string): string {
  const address = parseAddress(text)
  if (address === null) throw new UsageError(`--${flag} is "${text}", expected an IPv4 or IPv6 address`)
  return address
}

function readPorts(flags: Flags, protocol: number): Pick<Packet, 'sourcePort' | 'destinationPort'> {
  if (protocol === protocolNumbers.tcp || protocol === protocolNumbers.udp) {
    return {
      sourcePort: numberFlag('source-port', flags['source-port'] ?? defaultSourcePort, ports),
      destinationPort: numberFlag('port', requireFlag('port', flags.port), ports),
    }
  }
  const given = flags.port !== undefined ? 'port' : flags['source-port'] !== undefined ? 'source-port' : null
  if (given !== null) throw new UsageError(`--${given} is for tcp and udp only`)
  return { sourcePort: 0, destinationPort: 0 }
}

function readIcmpType(flags: Flags, protocol: number): Pick<Packet, 'icmpType'> {
  const echoRequest = { [protocolNumbers.icmp]: '8', [protocolNumbers.icmpv6]: '128' }[protocol]
  const type = flags['icmp-type']
  if (echoRequest !== undefined) return { icmpType: numberFlag('icmp-type', type ?? echoRequest, octet) }
  if (type !== undefined) throw new UsageError('--icmp-type is for icmp and icmpv6 only')
  return {}
}

function requireEni(ir: PolicyIr, eniId: string): void {
  const known = [...ir.enis, ...ir.unattachedEnis].map(eni => eni.id)
  if (known.includes(eniId)) return
  throw new UsageError(
    `--eni "${eniId}" is not in the policy, expected ${known.join(', ') || 'a policy with interfaces'}`,
  )
}
