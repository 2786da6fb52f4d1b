/** Who did what: kept with each commit, and what the audit log is written from. */

export interface Note {
  /** In the words of RAM policies: `ecs:AuthorizeSecurityGroup`; what ECS has no word for is `ringwall:EnrolAgent`. */
  readonly action: string
  readonly principal: NotedPrincipal
  /** Where the request came from; null for what the daemon does by itself. */
  readonly sourceAddress: string | null
  readonly requestId: string
}

export const principalKinds = ['token', 'account', 'user', 'session', 'agent', 'enrolment', 'system'] as const

export interface NotedPrincipal {
  readonly kind: (typeof principalKinds)[number]
  readonly id: string
  readonly name: string
}

/** A write that was not made. */
export interface RefusedWrite {
  readonly note: Note
  readonly method: string
  readonly url: string
  /** Of the answer. */
  readonly status: number
  readonly code: string
  readonly message: string
}
