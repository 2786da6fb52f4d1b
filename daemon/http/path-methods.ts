/** Which methods a path has a route for. */
import type { FastifyInstance } from 'fastify'

interface Known {
  readonly methods: readonly string[]
  readonly path: RegExp
}

export class PathMethods {
  readonly #routes: Known[] = []

  /** Learns of the routes that are added from then on. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ method, url }) => {
      const path = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]*')}$`)
      this.#routes.push({ methods: [method].flat(), path })
    })
  }

  /** @param url  with query or without */
  of(url: string): readonly string[] {
    const [asked = ''] = url.split('?')
    return [...new Set(this.#routes.filter(({ path }) => path.test(asked)).flatMap(({ methods }) => methods))].sort()
  }
}
