/** A store whose commits are timed and counted. */
import type { DaemonMetrics } from '../metrics.ts'
import type { CommitRequest, Store } from './store.ts'

export function measureCommits<S extends Store>(store: S, { commitDuration, commits }: DaemonMetrics): S {
  const commit = async (request: CommitRequest) => {
    const begun = performance.now()
    try {
      const result = await store.commit(request)
      commits.inc({ outcome: result.kind })
      commitDuration.observe((performance.now() - begun) / 1000)
      return result
    } catch (error) {
      commits.inc({ outcome: 'failed' })
      throw error
    }
  }
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return commit
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
