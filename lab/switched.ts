/**
 * Hosts on one switch with a control daemon among them: the smallest network that has all of Ringwall in it, for tests
 * and measurements. Host number n has 198.18.x.y/16 and 2001:db8::n/64 on `eth0`; the daemon is number 1.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HostWithAgent, startAgentsOn } from './agents.ts'
import { type Control, startControl } from './control.ts'
import type { Addresses } from './fleet.ts'
import { connect, createNamespace, type Namespace } from './netns.ts'

export interface SwitchedHost extends HostWithAgent {
  readonly addresses: Addresses
  readonly instanceId: string
  readonly eniId: string
}

export interface SwitchedFleet {
  readonly control: Control
  readonly folder: string
  readonly hosts: ReadonlyMap<string, SwitchedHost>
  /** The agents' processes, keyed by host. */
  readonly agents: Map<string, ChildProcess>
}

export interface SwitchedOptions {
  /** Names of hosts, and the groups their ENIs are in: made without rules where they are not there. */
  readonly hosts: Readonly<Record<string, readonly string[]>>
  /** Said to the daemon before the agents start. */
  readonly prepare?: (control: Control) => Promise<void>
}

const controlNumber = 1
const uplink = 'eth0'

/** @param stack  disposes of everything */
export async function startSwitchedFleet(
  stack: AsyncDisposableStack,
  { hosts: groupsOf, prepare }: SwitchedOptions,
): Promise<SwitchedFleet> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-fleet-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const middle = await makeSwitch(stack)
  const plug = async (name: string, number: number) => {
    const namespace = stack.use(await createNamespace(name))
    await plugIn(namespace, number, middle)
    return namespace
  }
  const control = stack.use(
    await startControl({
      folder,
      namespace: await plug('control', controlNumber),
      address: addressesOf(controlNumber).ip,
    }),
  )
  await prepare?.(control)
  const hosts = new Map<string, SwitchedHost>()
  for (const [index, [name, groupIds]] of Object.entries(groupsOf).entries()) {
    const number = controlNumber + 1 + index
    const host: SwitchedHost = {
      name,
      namespace: await plug(name, number),
      addresses: addressesOf(number),
      instanceId: `i-${name}`,
      instanceIds: [`i-${name}`],
      eniId: `eni-${name}`,
    }
    hosts.set(name, host)
    await register(host, groupIds, control)
  }
  const agents = new Map(await startAgentsOn([...hosts.values()], { folder, control }))
  return { control, folder, hosts, agents }
}

function addressesOf(number: number): Addresses {
  return {
    ip: `198.18.${Math.floor(number / 256)}.${number % 256}`,
    ip6: `2001:db8::${number.toString(16)}`,
  }
}

async function makeSwitch(stack: AsyncDisposableStack): Promise<Namespace> {
  const middle = stack.use(await createNamespace('switch'))
  await middle.run('ip', ['link', 'add', 'br0', 'type', 'bridge'])
  await middle.run('ip', ['link', 'set', 'br0', 'up'])
  return middle
}

async function plugIn(namespace: Namespace, number: number, middle: Namespace): Promise<void> {
  const { ip, ip6 } = addressesOf(number)
  const port = `port${number}`
  await connect(
    { namespace: middle, device: port },
    { namespace, device: uplink, addresses: [`${ip}/16`, `${ip6}/64`] },
  )
  await middle.run('ip', ['link', 'set', port, 'master', 'br0'])
}

async function register(host: SwitchedHost, groupIds: readonly string[], control: Control): Promise<void> {
  for (const securityGroupId of groupIds) {
    const { status } = await control.ask('GET', `/v1/security-groups/${securityGroupId}`)
    if (status === 404)
      await control.call('POST', '/v1/security-groups', { securityGroupId, innerAccessPolicy: 'drop' })
  }
  const { instanceId, eniId, addresses } = host
  await control.call('POST', '/v1/instances', { instanceId, instanceName: host.name })
  await control.call('POST', '/v1/network-interfaces', {
    networkInterfaceId: eniId,
    instanceId,
    device: uplink,
    privateIpAddresses: [addresses.ip],
    ipv6Addresses: [addresses.ip6],
    securityGroupIds: groupIds,
  })
}
