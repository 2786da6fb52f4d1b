/** Rules that people ask for by name: services, templates of groups, and what a default group lets in. */
import type { RuleFields } from '../model/documents.ts'

/** TCP ports by the service people know them for. */
export const servicePorts: ReadonlyMap<string, number> = new Map([
  ['ssh', 22],
  ['telnet', 23],
  ['http', 80],
  ['https', 443],
  ['ms-sql', 1433],
  ['oracle', 1521],
  ['mysql', 3306],
  ['rdp', 3389],
  ['postgresql', 5432],
  ['redis', 6379],
])

export const templateNames = ['web-server-linux', 'web-server-windows', 'custom'] as const
export type TemplateName = (typeof templateNames)[number]

/** Each for itself: a template that gets another port does not give it to the other. */
export const templates: Readonly<Record<TemplateName, readonly RuleFields[]>> = {
  'web-server-linux': [...[80, 443, 22].map(port => tcpFromAnywhere(port, 1)), icmpFromAnywhere(1)],
  'web-server-windows': [...[80, 443, 3389].map(port => tcpFromAnywhere(port, 1)), icmpFromAnywhere(1)],
  custom: [],
}

/** Weakest of all, so that any rule of the account's own decides before them. */
export const defaultGroupPriority = 100

/** @param webPorts  80 and 443 as well */
export function defaultGroupRules({ webPorts }: { readonly webPorts: boolean }): readonly RuleFields[] {
  const ports = webPorts ? [22, 3389, 80, 443] : [22, 3389]
  return [icmpFromAnywhere(defaultGroupPriority), ...ports.map(port => tcpFromAnywhere(port, defaultGroupPriority))]
}

function tcpFromAnywhere(port: number, priority: number): RuleFields {
  return fromAnywhere({ ipProtocol: 'tcp', portRange: `${port}/${port}`, priority })
}

function icmpFromAnywhere(priority: number): RuleFields {
  return fromAnywhere({ ipProtocol: 'icmp', portRange: '-1/-1', priority })
}

function fromAnywhere(fields: Pick<RuleFields, 'ipProtocol' | 'portRange' | 'priority'>): RuleFields {
  return { direction: 'ingress', policy: 'accept', ...fields, sourceCidrIp: '0.0.0.0/0', nicType: 'internet' }
}
