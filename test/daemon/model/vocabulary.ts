/** The few words that random operations are made of, and what the specification says each of them means. */

export const accountA = '1000000000000000'
export const accountB = '2000000000000000'
/** Made and deleted by operations. */
export const accountC = '3000000000000000'

export const agentIds = ['agent-1', 'agent-2'] as const
export const groupIds = ['sg-1', 'sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-6', 'sg-7', 'sg-8'] as const
export const instanceIds = ['i-1', 'i-2', 'i-3', 'i-4', 'i-5', 'i-6', 'i-7'] as const
export const eniIds = ['eni-1', 'eni-2', 'eni-3', 'eni-4', 'eni-5', 'eni-6', 'eni-7', 'eni-8'] as const
export const prefixListIds = ['pl-1', 'pl-2', 'pl-3'] as const
export const portListIds = ['prl-1', 'prl-2', 'prl-3'] as const
/** Ranges of lists of ports by how they are asked for. */
export const ranges: ReadonlyMap<string, string> = new Map([
  ['80/80', '80/80'],
  ['443', '443/443'],
  ['8000/8100', '8000/8100'],
  ['8050/8200', '8050/8200'],
])

/** Published thresholds of the types that operations name; the other one is not known. */
export const maximaOf: ReadonlyMap<string | null, { readonly bps: number; readonly pps: number }> = new Map([
  ['ecs.g5.large', { bps: 1000, pps: 300_000 }],
  ['ecs.t5-c1m1.large', { bps: 500, pps: 100_000 }],
])
export const instanceTypes = ['ecs.g5.large', 'ecs.t5-c1m1.large', 'my.own', null] as const

export type Who = 'admin' | 'reader' | 'writer-a' | 'reader-a' | 'writer-b'

export interface Scope {
  readonly accountId: string
  readonly access: 'read' | 'write'
}

export const scopesOf: Readonly<Record<Who, readonly Scope[]>> = {
  admin: [{ accountId: '*', access: 'write' }],
  reader: [{ accountId: '*', access: 'read' }],
  'writer-a': [{ accountId: accountA, access: 'write' }],
  'reader-a': [{ accountId: accountA, access: 'read' }],
  'writer-b': [{ accountId: accountB, access: 'write' }],
}

export type Family = 'ip' | 'ip6'

export interface Block {
  readonly family: Family
  /** Host bits masked off, prefix length written out. */
  readonly text: string
  readonly isSingle: boolean
}

const blockRows: readonly (readonly [asked: string, family: Family, stored: string])[] = [
  ['0.0.0.0/0', 'ip', '0.0.0.0/0'],
  ['198.18.0.9/24', 'ip', '198.18.0.0/24'],
  ['198.18.0.0/24', 'ip', '198.18.0.0/24'],
  ['203.0.113.7', 'ip', '203.0.113.7/32'],
  ['203.0.113.7/32', 'ip', '203.0.113.7/32'],
  ['203.0.113.8', 'ip', '203.0.113.8/32'],
  ['203.0.113.8/32', 'ip', '203.0.113.8/32'],
  ['10.1.2.3/8', 'ip', '10.0.0.0/8'],
  ['10.0.0.0/8', 'ip', '10.0.0.0/8'],
  ['::/0', 'ip6', '::/0'],
  ['2001:DB8::1/32', 'ip6', '2001:db8::/32'],
  ['2001:db8::/32', 'ip6', '2001:db8::/32'],
  ['2001:db8:0:0::7', 'ip6', '2001:db8::7/128'],
  ['2001:db8::7/128', 'ip6', '2001:db8::7/128'],
]

/** Keyed by how it may be asked for; what is not here is no block. */
export const blocks: ReadonlyMap<string, Block> = new Map(
  blockRows.map(([asked, family, text]) => [
    asked,
    { family, text, isSingle: text.endsWith(family === 'ip' ? '/32' : '/128') },
  ]),
)
export const badBlocks = ['256.0.0.1', '198.18.0.0/33', '2001:db8::/129', 'everybody'] as const

/** Addresses of ENIs as asked for, and as stored. */
export const addresses: ReadonlyMap<string, { readonly family: Family; readonly text: string }> = new Map([
  ...[1, 2, 3, 4, 5, 6].map(n => address(`198.18.0.${n}`, 'ip', `198.18.0.${n}`)),
  ...[1, 2, 3, 4].map(n => address(`2001:DB8::${n}`, 'ip6', `2001:db8::${n}`)),
])

function address(asked: string, family: Family, text: string) {
  return [asked, { family, text }] as const
}

/** Ports as policy files take them for protocols that have ports. */
export const goodPorts = ['80/80', '443/443', '1/65535', '8000/8100'] as const
export const badPorts = ['90/80', '0/80', '80', '1/65536'] as const
export const portsOfService: ReadonlyMap<string, string> = new Map([
  ['ssh', '22/22'],
  ['https', '443/443'],
  ['mysql', '3306/3306'],
])
