/** The daemon as verbs see it: objects by name or id, lists, and writes with what --dry-run, --wait and the like ask. */

import { insteadOf } from '../arguments.ts'
import type { Client, Page, Query, Write } from '../client/client.ts'
import { RefusedError } from '../client/errors.ts'
import type { Target } from '../client/target.ts'
import { exitRefused, OperationError, UsageError } from '../command.ts'
import type { StatusLine } from '../output/terminal.ts'
import { readEnforcement } from './enforcement.ts'
import type { CommonValues } from './flags.ts'
import { pathOf, type Resource, type ResourceKind, resources, type Shown } from './resources.ts'

export type NamedKind = Exclude<ResourceKind, 'context'>

/** An answer to a write; with `dryRun`, what it would do. */
export interface WriteAnswer extends Shown {
  readonly revision?: number
}

export interface DaemonParts {
  readonly client: Client
  readonly target: Target
  readonly flags: CommonValues
  readonly status: StatusLine
  /** Whether progress is shown, so that the daemon is asked again and again. */
  readonly showsProgress: boolean
}

export class Daemon {
  readonly client: Client
  readonly target: Target
  readonly #parts: DaemonParts

  constructor(parts: DaemonParts) {
    this.client = parts.client
    this.target = parts.target
    this.#parts = parts
  }

  /**
   * The id that a word stands for: an id there is, or a name that one object alone has.
   * @throws {OperationError} where none or several have it
   */
  async idOf(kind: NamedKind, text: string): Promise<string> {
    const { idField } = resources[kind]
    return String((await this.find(kind, text))[idField])
  }

  /** The same, of several words. */
  async idsOf(kind: NamedKind, texts: readonly string[]): Promise<string[]> {
    return Promise.all(texts.map(text => this.idOf(kind, text)))
  }

  /** The object as lists show it. @throws {OperationError} */
  async find(kind: NamedKind, text: string): Promise<Shown> {
    const resource = resources[kind]
    const byId = resource.idForm.test(text) ? await this.#byId(resource, text) : null
    if (byId !== null) return byId
    const named = await this.#byName(resource, text)
    const [only, another] = named
    if (only === undefined) throw await this.#none(resource, text)
    if (another !== undefined) throw several(resource, text, named)
    return only
  }

  /** The id of the account that --account or the context names; undefined where neither does: the daemon chooses. */
  async accountId(flag: string | undefined): Promise<string | undefined> {
    const text = flag ?? this.target.accountId ?? undefined
    // Also an account that may not be looked up can be named by its id.
    return text === undefined || resources.account.idForm.test(text) ? text : this.idOf('account', text)
  }

  list(kind: NamedKind, query: Query = {}, most?: number): Promise<Page<Shown>> {
    return this.client.list(resources[kind].path, query, most)
  }

  /**
   * Writes, as the flags say it.
   * @param write.path  must name the object where --if-revision is to mean something
   */
  async write(write: Omit<Write, 'waitSeconds'>): Promise<WriteAnswer> {
    const { flags, showsProgress, status } = this.#parts
    const seconds = flags.wait
    const isDry = flags['dry-run'] === true
    const daemonWaits = seconds !== undefined && !isDry && !showsProgress
    const answer = await this.client.write<WriteAnswer>({
      ...write,
      ifRevision: flags['if-revision'] ?? write.ifRevision,
      query: {
        ...write.query,
        ...(isDry && { dryRun: true }),
        ...(daemonWaits && { wait: 'enforced', timeout: seconds }),
      },
      waitSeconds: daemonWaits ? seconds : 0,
    })
    if (seconds === undefined || isDry || daemonWaits) return answer
    return { ...answer, enforcement: await this.follow(Number(answer.revision), seconds, status) }
  }

  /** Asks again and again how far a change has come, and shows it. */
  follow(revision: number, seconds: number, status: StatusLine = this.#parts.status) {
    return readEnforcement(this.client, revision, { seconds, status })
  }

  async #byId(resource: Resource, id: string): Promise<Shown | null> {
    try {
      if (!resource.hasPage) return (await this.#all(resource)).find(item => item[resource.idField] === id) ?? null
      const answer = await this.client.get<Shown>(pathOf(resource, id))
      return answer[resource.answerField] as Shown
    } catch (error) {
      if (error instanceof RefusedError && error.problem.status === 404) return null
      throw error
    }
  }

  async #byName({ path, nameField, nameFilter, idField }: Resource, name: string): Promise<readonly Shown[]> {
    if (nameField === null && nameFilter === null) return []
    const { items } = await this.client.list<Shown>(path, nameFilter === null ? {} : { [nameFilter]: name })
    // The daemon's filters know wildcards and no case; what is deleted by name must be what was named.
    return items.filter(item => item[idField] !== undefined && (nameField === null || item[nameField] === name))
  }

  async #all({ path }: Resource): Promise<readonly Shown[]> {
    return (await this.client.list<Shown>(path)).items
  }

  async #none(resource: Resource, text: string): Promise<OperationError> {
    const { items } = await this.client.list<Shown>(resource.path, {}, mostSuggestions)
    const fields = [resource.idField, ...(resource.nameField === null ? [] : [resource.nameField])]
    const names = items.flatMap(item => fields.map(field => item[field])).filter(each => typeof each === 'string')
    const all =
      names.length > mostNamed ? `"ringwall ${resource.listCommand}" shows them` : `expected ${names.join(', ')}`
    const none = `there is none that you may see. ${resource.whenNone}`
    const hint = items.length === 0 ? none : insteadOf(text, names, all)
    return new OperationError([`no such ${resource.noun} "${text}"; ${hint}`], exitRefused)
  }
}

/** Enough to find a slip of the finger; a fleet's 50,000 interfaces would take longer than typing the name again. */
const mostSuggestions = 2000
/** Ids and names; more are no help in a line. */
const mostNamed = 12

function several({ noun, idField }: Resource, text: string, items: readonly Shown[]): OperationError {
  const ids = items.map(item => {
    const isOwned = item.accountId !== undefined && idField !== 'accountId'
    return `${item[idField]}${isOwned ? ` (account ${item.accountId})` : ''}`
  })
  const shown = ids.length > 12 ? [...ids.slice(0, 12), `and ${ids.length - 12} more`] : ids
  return new OperationError(
    [
      `"${text}" is the name of ${items.length} objects of this kind (${noun}); say which by its id:`,
      ...shown.map(id => `  ${id}`),
    ],
    exitRefused,
  )
}

/** @throws {UsageError} where a word is no id of its kind */
export function requireId(name: string, text: string, form: RegExp, expected: string): string {
  if (form.test(text)) return text
  throw new UsageError(`${name} is "${text}", expected ${expected}`)
}
