/** Who did what: kept with each commit, and what the audit log is written from. */

export interface Note {
  /** In the words of RAM policies: `ecs:AuthorizeSecurityGroup`; what ECS has no word for is `ringwall:EnrolAgent`. */
  readonly action: string
  readonly principal: NotedPrincipal
  /** Where the request came from; null for what the daemon does by itself. */
  readonly sourceAddress: string | null
  readonly requestId: string
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
