/** Who did what: kept with each commit, and what the audit log is written from. */

export interface Note {
  /** In the words of RAM policies: `ecs:AuthorizeSecurityGroup`; what ECS has no word for is `ringwall:EnrolAgent`. */
  readonly action: string
  /** Where it was more than one: all of them, `action` first. */
  readonly actions?: readonly string[]
  readonly principal: NotedPrincipal
  /** Where the request came from; null for what the daemon does by itself. */
  readonly sourceAddress: string | null
  readonly requestId: string
}

/** The action, or actions, of a note. @param actions  one or more, each once */
export function notedActions(actions: readonly string[]): Pick<Note, 'action' | 'actions'> {
  const [action = '', ...more] = actions
  return { action, ...(more.length > 0 && { actions }) }
}

/** All that was done, or that somebody tried to. */
export function actionsIn({ action, actions = [action] }: Pick<Note, 'action' | 'actions'>): readonly string[] {
  return actions
}

/** `key`: an access key, where nobody has shown to have its secret. */
export const principalKinds = ['token', 'account', 'user', 'session', 'key', 'agent', 'enrolment', 'system'] as const

export interface NotedPrincipal {
  readonly kind: (typeof principalKinds)[number]
  readonly id: string
  readonly name: string
  /** The access key or API token that it came with; left out where that is `id`. */
  readonly credentialId?: string
}

/** Of whoever asks, what is kept. */
export function notedPrincipal({ kind, id, name, credentialId }: NotedPrincipal): NotedPrincipal {
  return { kind, id, name, ...(credentialId !== undefined && { credentialId }) }
}

/** A write that was not made. */
export interface RefusedWrite {
  readonly note: Note
  readonly method: string
  readonly url: string
  /** Keys of what it would have been done to, `group/sg-web`, beside what the url names. */
  readonly objects?: readonly string[]
  /** Of the answer. */
  readonly status: number
  readonly code: string
  readonly message: string
}
