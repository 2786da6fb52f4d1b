/** `ringwall eni`: network interfaces, where groups are enforced. */

import { parseAddress } from '../../rules-compiler/address/cidr.ts'
import { UsageError } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import {
  accountFlag,
  clearable,
  descriptionFlag,
  modeFlag,
  nameFlag,
  networkFlags,
  tagFlag,
  untagFlag,
} from '../operate/flags.ts'
import { enis, groupWord, instances } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb, said, showVerb } from '../operate/objects.ts'
import { modeVerbs } from '../operate/observed.ts'
import { pathOf, resources } from '../operate/resources.ts'
import { type Verb, verb } from '../operate/verb.ts'
import { accountOf, createVerb, modifyVerb } from '../operate/writing.ts'

const bindingFlags = {
  device: { takes: 'text', value: 'NAME', help: "the kernel's name of the device, eth0" },
  mac: { takes: 'text', value: 'MAC', help: 'its MAC address, by which the agent finds it whatever it is called' },
  address: { takes: 'list', value: 'ADDRESS', help: 'a private address, IPv4 or IPv6; may be repeated' },
  group: { takes: 'list', value: 'GROUP', names: 'group', help: 'a security group; may be repeated' },
  'nic-type': { takes: 'choice', choices: ['internet', 'intranet'], help: 'classic networks: which rules it obeys' },
  mode: modeFlag,
} as const

const modifyFlags = {
  name: clearable(nameFlag),
  ...bindingFlags,
  address: { ...bindingFlags.address, help: 'its private addresses from now on; may be repeated' },
  group: { ...bindingFlags.group, help: 'its groups from now on; may be repeated' },
  placement: {
    takes: 'choice',
    choices: ['host', 'guest'],
    help: "host: the machine's own; guest: the host's end of a guest's",
  },
  description: clearable(descriptionFlag),
  tag: tagFlag,
  untag: untagFlag,
} as const

const names = {
  name: 'networkInterfaceName',
  description: 'description',
  device: 'device',
  mac: 'macAddress',
  'nic-type': 'nicType',
  mode: 'mode',
  placement: 'placement',
} as const

export const command = nounCommand({
  name: 'eni',
  summary: 'network interfaces, where groups are enforced',
  verbs: [
    listVerb(enis),
    showVerb(enis),
    createVerb(enis, {
      name: 'register',
      summary: 'make a network interface known',
      flags: {
        instance: {
          takes: 'text',
          value: 'INSTANCE',
          names: 'instance',
          help: 'the instance it belongs to, by id or name; if left out, it is bound to one later',
        },
        name: nameFlag,
        ...bindingFlags,
        guest: { takes: 'nothing', help: "the device is the host's end of a guest's interface" },
        secondary: { takes: 'nothing', help: "not the instance's primary interface" },
        ...networkFlags,
        description: descriptionFlag,
        tag: tagFlag,
        account: { ...accountFlag, help: 'whose it is, where it is of no instance, by id or name' },
      },
      details: `With --device alone, MAC address and addresses are what the agent has reported of the device. Without
--group it is in the account's default group.`,
      examples: [
        'ringwall eni register --instance i-web1 --device eth0 --group sg-web',
        'ringwall eni register eni-spare --group sg-web --address 198.18.0.7',
      ],
      names: { ...names, network: 'networkType', vpc: 'vpcId' },
      ownerOf: placeFields,
      more: async (daemon, flags) => ({
        ...(flags.guest && { placement: 'guest' }),
        ...(flags.secondary && { type: 'Secondary' }),
        ...addressFields(flags.address),
        ...(await groupFields(daemon, flags.group)),
      }),
    }),
    modifyVerb(enis, {
      summary: 'change a network interface',
      flags: modifyFlags,
      names,
      more: async (daemon, { address, group }) => ({
        ...(address !== undefined && { privateIpAddresses: [], ipv6Addresses: [], ...addressFields(address) }),
        ...(await groupFields(daemon, group)),
      }),
    }),
    deleteVerb(enis, { summary: 'forget a network interface' }),
    verb({
      name: 'bind',
      summary: 'give a network interface of no instance to one',
      effect: 'changes',
      words: [enis.word, instances.word],
      flags: { device: bindingFlags.device },
      details: `With --device, one that has neither MAC address nor addresses gets what the agent has reported of the
device.`,
      examples: ['ringwall eni bind eni-spare i-web1 --device eth1'],
      async run({ daemon, words: [eniText = '', instanceText = ''], flags }) {
        const eniId = await daemon.idOf('eni', eniText)
        const instanceId = await daemon.idOf('instance', instanceText)
        const body = { instanceId, ...(flags.device !== undefined && { device: flags.device }) }
        const answer = await daemon.write({ method: 'POST', path: pathOf(resources.eni, eniId, 'attach'), body })
        return said(answer, `${eniId} is of ${instanceId}`)
      },
    }),
    verb({
      name: 'unbind',
      summary: 'take a network interface from its instance',
      effect: 'changes',
      words: [enis.word],
      flags: {},
      details: `It keeps its groups and addresses. Nothing is enforced at its device any more.`,
      async run({ daemon, words: [eniText = ''] }) {
        const eniId = await daemon.idOf('eni', eniText)
        const answer = await daemon.write({ method: 'POST', path: pathOf(resources.eni, eniId, 'detach'), body: {} })
        return said(answer, `${eniId} is of no instance`)
      },
    }),
    membershipVerb('attach', 'put a network interface into a security group', 'join', 'is in'),
    membershipVerb('detach', 'take a network interface out of a security group', 'leave', 'is out of'),
    ...modeVerbs(enis),
  ],
})

function membershipVerb(name: string, summary: string, route: 'join' | 'leave', outcome: string): Verb {
  return verb({
    name,
    summary,
    effect: 'changes',
    words: [enis.word, groupWord],
    flags: {},
    async run({ daemon, words: [eniText = '', groupText = ''] }) {
      const eniId = await daemon.idOf('eni', eniText)
      const groupId = await daemon.idOf('group', groupText)
      const path = pathOf(resources.group, groupId, route)
      const answer = await daemon.write({ method: 'POST', path, body: { networkInterfaceIds: [eniId] } })
      return said(answer, `${eniId} ${outcome} ${groupId}`)
    },
  })
}

interface PlaceFlags {
  readonly instance?: string | undefined
  readonly account?: string | undefined
}

/** Its instance, or else its account, where one is known. */
async function placeFields(daemon: Daemon, flags: PlaceFlags) {
  const { instance } = flags
  return instance === undefined ? accountOf(daemon, flags) : { instanceId: await daemon.idOf('instance', instance) }
}

/** Each family in its own field. @throws {UsageError} */
function addressFields(addresses: readonly string[] | undefined) {
  if (addresses === undefined) return {}
  for (const text of addresses) {
    if (parseAddress(text) === null) throw new UsageError(`--address is "${text}", expected an IPv4 or IPv6 address`)
  }
  const [ipv4, ipv6] = [addresses.filter(text => !text.includes(':')), addresses.filter(text => text.includes(':'))]
  return { ...(ipv4.length > 0 && { privateIpAddresses: ipv4 }), ...(ipv6.length > 0 && { ipv6Addresses: ipv6 }) }
}

async function groupFields(daemon: Daemon, groups: readonly string[] | undefined) {
  return groups === undefined ? {} : { securityGroupIds: await daemon.idsOf('group', groups) }
}
