/** Ids and names that can stand where the cursor is, as the daemon has them. */
import { Client } from '../client/client.ts'
import { Connection } from '../client/connection.ts'
import { contextsPath, readContexts } from '../client/contexts.ts'
import { findTarget, type TargetFlags } from '../client/target.ts'
import { pathOf, resources, type Shown } from './resources.ts'
import type { Asked } from './verb.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A shell waits for it at a key press. */
export const usualPatienceMs = 500
const pageSize = 500

/**
 * What has come when the time is over; those with a space or a quote are left out, for a shell would take them apart.
 * @param words   before the cursor, without flags: the first may be the group whose rules are asked for
 * @param before  all words before the cursor, with the flags that say which daemon
 * @throws {OperationError} where nothing has come at all
 */
export async function namesOf(
  asked: readonly Asked[],
  words: readonly string[],
  {
    before,
    env,
    patienceMs,
  }: { readonly before: readonly string[]; readonly env: Environment; readonly patienceMs: number },
): Promise<readonly string[]> {
  const connection = new Connection(await findTarget(targetFlagsIn(before), env))
  const timer = setTimeout(() => connection.close(), patienceMs)
  try {
    const client = new Client(connection, { retries: 0, timeoutMs: patienceMs })
    const names = await Promise.all(asked.map(each => namesOfOne(client, each, words, env)))
    return names.flat().filter(each => /^[\p{L}\p{N}_.@:-]+$/u.test(each))
  } finally {
    clearTimeout(timer)
    connection.close()
  }
}

async function namesOfOne(client: Client, asked: Asked, words: readonly string[], env: Environment): Promise<string[]> {
  switch (asked) {
    case 'context':
      return [...(await readContexts(contextsPath(env))).byName.keys()]
    case 'service': {
      const { services } = await client.get<{ services: readonly { service: string }[] }>(
        '/v1/security-group-templates',
      )
      return services.map(({ service }) => service)
    }
    case 'rule': {
      const rules = pathOf(resources.group, await groupOf(client, words[0] ?? ''), 'rules')
      return textsIn(await itemsOf(client, rules), ['securityGroupRuleId'])
    }
    default: {
      const { path, idField, nameField } = resources[asked]
      return textsIn(await itemsOf(client, path), nameField === null ? [idField] : [idField, nameField])
    }
  }
}

/** Its id; the word itself where that is one, or nobody is called so. */
async function groupOf(client: Client, word: string): Promise<string> {
  if (resources.group.idForm.test(word)) return word
  const { items } = await client.list<Shown>(resources.group.path, { securityGroupName: word }, 1)
  return String(items[0]?.securityGroupId ?? word)
}

/** Page by page, up to the last one that comes in time. */
async function itemsOf(client: Client, path: string): Promise<readonly Shown[]> {
  const items: Shown[] = []
  let nextToken: string | undefined
  do {
    try {
      const page = await client.get<{ items: Shown[]; nextToken: string | null }>(path, {
        maxResults: pageSize,
        nextToken,
      })
      items.push(...page.items)
      nextToken = page.nextToken ?? undefined
    } catch (error) {
      if (items.length === 0) throw error
      return items
    }
  } while (nextToken !== undefined)
  return items
}

function textsIn(items: readonly Shown[], fields: readonly string[]): string[] {
  return items.flatMap(item => fields.map(field => item[field])).filter(each => typeof each === 'string')
}

function targetFlagsIn(before: readonly string[]): TargetFlags {
  const flagValue = (flag: string) => {
    const index = before.lastIndexOf(flag)
    return index === -1 ? undefined : before[index + 1]
  }
  return { context: flagValue('--context'), url: flagValue('--url'), token: flagValue('--token') }
}
