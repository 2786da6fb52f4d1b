/** The lab from beginning to end: network, daemon, agents, traffic against policy, changes; then it stays, or goes. */
import { startAgents } from './agents.ts'
import { demonstrateAttack } from './attack.ts'
import { serveOnLoopback, startControl } from './control.ts'
import { expectationOf } from './expectation.ts'
import { addresses, type Fleet, makeFleet } from './fleet.ts'
import { demonstrateMembership } from './membership.ts'
import { removeStale } from './netns.ts'
import { buildNetwork } from './network.ts'
import { type HostPolicies, hostPolicies } from './policies.ts'
import {
  asExpected,
  attackLines,
  cleanedAsPromised,
  groupLines,
  hostLines,
  membershipAsPromised,
  membershipLines,
  revocationLines,
  revocationsAsPromised,
  type TrafficRow,
  trafficLines,
} from './report.ts'
import { demonstrateRevocation } from './revocation.ts'
import { setUp } from './set-up.ts'
import { makeLabFolder, removeStaleFolders, writeLabState } from './state.ts'
import { type Seen, startPeers, tryAll } from './traffic.ts'

export interface LabOptions {
  readonly print: (line: string) => void
  /** Keep the hosts and agents after the demonstration, until a signal ends the process. */
  readonly stay: boolean
  /** How many hosts beside those the story is about. */
  readonly furtherHosts: number
}

/**
 * @returns whether all was as expected; never, where it stays
 * @throws {Error} where the lab cannot be built, or its daemon or agents do not come up
 */
export async function runLab({ print, stay, furtherHosts }: LabOptions): Promise<boolean> {
  if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces, which needs root; try sudo')
  process.env.RINGWALL_LAB_ONLY = '1'
  // The hosts of the lab are not this machine.
  for (const service of ['AGENT', 'DAEMON']) process.env[`RINGWALL_${service}_CONFIG`] = 'none'
  const printBlock = (title: string, lines: readonly string[]) =>
    print(`\n${title}\n\n${lines.map(line => (line === '' ? '' : `  ${line}`)).join('\n')}`)
  const left = await removeStale()
  removeStaleFolders()
  if (left.length > 0) print(`Removed ${left.length} namespaces that an earlier run left behind.`)

  await using stack = new AsyncDisposableStack()
  const fleet = makeFleet(furtherHosts)
  print(
    `A network of ${fleet.hosts.length} hosts is made on this machine, and taken away in the end; nothing outside it is touched.`,
  )
  const network = await buildNetwork(fleet, stack)
  // Made after the network, so that at exit it is removed after the processes that write into it have ended.
  const folder = makeLabFolder()
  const policies = hostPolicies(fleet)
  printBlock('Hosts, each a network namespace; the router between them is one too', hostLines(fleet))
  printBlock('Security groups and their rules', groupLines(policies.values()))

  const peers = await startPeers(fleet, network, stack)
  const open = await tryAll(fleet.attempts, peers, () => 'accept')
  const reached = open.filter(({ outcome }) => outcome === 'accept').length
  print(
    `\nWithout Ringwall: ${reached} of ${open.length} attempts get through: those of the table below, by IPv4 and IPv6.`,
  )

  const control = stack.use(
    await startControl({ folder, namespace: network.get('control')!, address: addresses.control.ip }),
  )
  const { url, server } = await serveOnLoopback(control)
  stack.defer(() => {
    server.close()
  })
  writeLabState(folder, network, { url, token: control.token })
  print(`\nThe control daemon runs in "control". Its API is at ${url}/v1, its documentation at ${url}/docs`)
  const ruleIds = await setUp(fleet, control)
  await startAgents(fleet, { folder, network, control })
  print(`${fleet.agentHosts.length} agents have enrolled with one-time tokens; all of them are in sync.`)

  const rows = rowsOf(await tryAll(fleet.attempts, peers, ({ must }) => must), fleet, policies)
  printBlock(`With an agent on ${agentNames(fleet)}`, [...legend, '', ...trafficLines(rows)])
  const good = rows.filter(asExpected).length

  const membership = await demonstrateMembership(control, peers)
  printBlock('web joins sg-app, which a rule of sg-db names, and leaves it again', membershipLines(membership))
  const revocations = await demonstrateRevocation(control, ruleIds, peers)
  printBlock('Rules of sg-web are revoked while sessions are open', revocationLines(revocations))
  const attack = await demonstrateAttack(control, peers)
  printBlock('web is flooded, with thresholds set low for it', attackLines(attack))

  const changesGood = membershipAsPromised(membership) && revocationsAsPromised(revocations)
  const allGood = reached === open.length && good === rows.length && changesGood && cleanedAsPromised(attack)
  print(
    `\n${good} of ${rows.length} rows as expected. ${allGood ? 'All is as it should be.' : 'NOT all is as it should be.'}`,
  )
  if (stay) {
    print(`\n${playHint(url)}`)
    await new Promise(() => {})
  }
  return allGood
}

const legend = [
  'expected: what the policies demand. seen: what became of a real connection. why: the rule that decides, or what does',
  'where no rule matches, and at whose network interface (ENI).',
]

function rowsOf(seen: readonly Seen[], { attempts, enis }: Fleet, policies: HostPolicies): TrafficRow[] {
  return attempts.map(attempt => {
    const outcomeOf = (wanted: Seen['family']) =>
      seen.find(each => each.attempt === attempt && each.family === wanted)!.outcome
    const expected = (family: Seen['family']) => expectationOf(attempt, family, { enis, policies })
    return {
      attempt,
      expected: { ip: expected('ip'), ip6: expected('ip6') },
      seen: { ip: outcomeOf('ip'), ip6: outcomeOf('ip6') },
    }
  })
}

function agentNames({ agentHosts }: Fleet): string {
  const named = agentHosts.filter(host => !host.startsWith('host-'))
  const further = agentHosts.length - named.length
  const last = further > 0 ? `${further} further hosts` : named.pop()!
  return `${named.join(', ')} and ${last}`
}

function playHint(url: string): string {
  return `The lab stays up for playing. In another terminal, as root:
  eval "$(./ringwall lab env)"   "ringwall" commands then speak to the lab's daemon:
  ./ringwall sg list             ./ringwall rule list sg-web
  ./ringwall rule add sg-web ingress allow tcp/22 from any --wait
  ./ringwall agent list          ./ringwall change list
  ./ringwall ddos events         ./ringwall ddos show i-web
  ./ringwall lab shell outside   a shell in a host; its services answer on the ports in the table
  ./ringwall lab shell web       there: ringwall show, nft list table inet ringwall
  ./ringwall lab status          hosts, namespaces, logs
  curl -H "Authorization: Bearer $RINGWALL_TOKEN" $RINGWALL_URL/v1/agents    the same by REST
In a browser on this machine: ${url}/docs shows the API
Ctrl-C ends the lab and removes all of it.`
}
