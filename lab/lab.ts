/** The lab from beginning to end: network, agents, traffic against policy, a revocation; then it stays, or goes. */
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { startAgents } from './agents.ts'
import { expectationOf } from './expectation.ts'
import { agentHosts, attempts } from './fleet.ts'
import { removeStale } from './netns.ts'
import { buildNetwork } from './network.ts'
import { policyText, readLabPolicy } from './policies.ts'
import {
  asExpected,
  groupLines,
  hostLines,
  revocationLines,
  revokedAsPromised,
  type TrafficRow,
  trafficLines,
} from './report.ts'
import { demonstrateRevocation } from './revocation.ts'
import { makeLabFolder, removeStaleFolders, writeLabState } from './state.ts'
import { type Seen, startPeers, tryAll } from './traffic.ts'

export interface LabOptions {
  readonly print: (line: string) => void
  /** Keep the hosts and agents after the demonstration, until a signal ends the process. */
  readonly stay: boolean
}

/**
 * @returns whether all was as expected; never, where it stays
 * @throws {Error} where the lab cannot be built or its agents do not come up
 */
export async function runLab({ print, stay }: LabOptions): Promise<boolean> {
  if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces, which needs root; try sudo')
  process.env.RINGWALL_LAB_ONLY = '1'
  const printBlock = (title: string, lines: readonly string[]) => print(`\n${title}\n\n  ${lines.join('\n  ')}`)
  const left = await removeStale()
  removeStaleFolders()
  if (left.length > 0) print(`Removed ${left.length} namespaces that an earlier run left behind.`)

  await using stack = new AsyncDisposableStack()
  const network = await buildNetwork(stack)
  // Made after the network, so that at exit it is removed after the agents that write into it have ended.
  const folder = makeLabFolder()
  writeLabState(folder, network)
  const irs = new Map(agentHosts.map(host => [host, resolvePolicy(readLabPolicy(policyText(host)))]))
  printBlock('Hosts, each a network namespace; the router between them is one too', hostLines(network))
  printBlock('Security groups and their rules', groupLines(irs.values()))

  const peers = await startPeers(network, stack)
  const open = await tryAll(peers, () => 'accept')
  const reached = open.filter(({ outcome }) => outcome === 'accept').length
  print(`\nWithout Ringwall: ${reached} of ${open.length} attempts get through.`)

  await startAgents(folder, network, peers)
  const rows = rowsOf(await tryAll(peers, ({ must }) => must), irs)
  printBlock('With an agent on web, app, db, guesthost and conthost', trafficLines(rows))
  const good = rows.filter(asExpected).length

  const revocations = await demonstrateRevocation(folder, peers)
  printBlock(`Rules taken out of ${folder}/web.yaml while sessions are open`, revocationLines(revocations))

  const allGood = reached === open.length && good === rows.length && revocations.every(revokedAsPromised)
  print(
    `\n${good} of ${rows.length} rows as expected. ${allGood ? 'All is as it should be.' : 'NOT all is as it should be.'}`,
  )
  if (stay) {
    print(`\n${playHint(folder)}`)
    await new Promise(() => {})
  }
  return allGood
}

function rowsOf(seen: readonly Seen[], irs: Parameters<typeof expectationOf>[2]): TrafficRow[] {
  return attempts.map(attempt => {
    const outcomeOf = (wanted: Seen['family']) =>
      seen.find(each => each.attempt === attempt && each.family === wanted)!.outcome
    return {
      attempt,
      expected: { ip: expectationOf(attempt, 'ip', irs), ip6: expectationOf(attempt, 'ip6', irs) },
      seen: { ip: outcomeOf('ip'), ip6: outcomeOf('ip6') },
    }
  })
}

function playHint(folder: string): string {
  return `The lab stays up for playing. In another terminal, as root:
  ringwall lab shell outside     a shell in a host; its services answer on the ports in the table
  ringwall lab shell web         there: ringwall show, nft list table inet ringwall
  ringwall lab status            hosts, namespaces, policy files
Edit ${folder}/web.yaml and see what becomes of open connections.
Ctrl-C ends the lab and removes all of it.`
}
