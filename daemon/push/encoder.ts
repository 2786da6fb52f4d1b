/**
 * Writes updates as messages. Thousands of agents are often told the same: objects that many see are turned into JSON
 * once, and so are whole deltas.
 */
import type { ViewKey } from '../../wire/view.ts'
import type { World } from '../state/world.ts'
import type { Update } from './delta.ts'
import type { MemberLog } from './member-log.ts'
import { revisionOfObject, splitKey, viewObject } from './views.ts'

export interface EncoderParts {
  readonly storeId: string
  readonly world: World
  readonly log: MemberLog
  /** Of deltas that are kept for others to be told; 64 MiB where left out. */
  readonly maxDeltaBytes?: number
}

interface Written {
  /** Differs whenever the object does. */
  readonly stamp: string
  readonly json: string
}

/** Seen by one agent alone: kept, they would be a second copy of the fleet. */
const ownKinds: ReadonlySet<string> = new Set(['instance', 'eni'])
const maxObjects = 10_000
/** In characters: snapshots of large groups are not kept for ever. */
const maxObjectText = 64 * 1024 * 1024
/** A fleet that comes back while nobody writes may lack something else in every agent, all of it at one revision. */
const usualDeltaBytes = 64 * 1024 * 1024

export class Encoder {
  readonly #parts: EncoderParts
  readonly #objects = new Map<ViewKey, Written>()
  #objectText = 0
  /** Deltas of one revision. */
  readonly #deltas = new Map<string, Buffer>()
  #deltasRevision = -1
  #deltaBytes = 0

  constructor(parts: EncoderParts) {
    this.#parts = parts
  }

  /** A whole message, of the present revision. */
  encode(update: Update): Buffer {
    if (update.kind === 'snapshot') {
      return Buffer.from(`{"type":"snapshot",${this.#position()},"objects":[${this.#join(update.keys)}]}`)
    }
    if (update.set.some(key => ownKinds.has(splitKey(key).kind))) return this.#writeDelta(update)
    if (this.#deltasRevision !== this.#parts.world.revision) this.#forgetDeltas()
    const places = update.members.map(({ id, place }) => `${id}@${place}`)
    // Not joined by some character: agents name what is to be removed, and two lists must never read as one.
    const content = JSON.stringify([update.set, update.remove, places])
    const known = this.#deltas.get(content)
    if (known !== undefined) return known
    const message = this.#writeDelta(update)
    const { maxDeltaBytes = usualDeltaBytes } = this.#parts
    if (this.#deltaBytes + message.length > maxDeltaBytes) this.#forgetDeltas()
    this.#deltas.set(content, message)
    this.#deltaBytes += message.length
    return message
  }

  #forgetDeltas(): void {
    this.#deltas.clear()
    this.#deltaBytes = 0
    this.#deltasRevision = this.#parts.world.revision
  }

  #writeDelta({ set, remove, members }: Extract<Update, { kind: 'delta' }>): Buffer {
    const folds = members.map(({ id, add, remove: gone }) => ({ id, add, remove: gone }))
    const parts = [
      '"type":"delta"',
      this.#position(),
      `"set":[${this.#join(set)}]`,
      `"remove":${JSON.stringify(remove)}`,
      `"members":${JSON.stringify(folds)}`,
    ]
    return Buffer.from(`{${parts.join(',')}}`)
  }

  #position(): string {
    const { storeId, world } = this.#parts
    return `"storeId":${JSON.stringify(storeId)},"revision":${world.revision}`
  }

  #join(keys: Iterable<ViewKey>): string {
    const texts: string[] = []
    for (const key of keys) {
      const text = this.#object(key)
      if (text !== null) texts.push(text)
    }
    return texts.join(',')
  }

  #object(key: ViewKey): string | null {
    const { kind, id } = splitKey(key)
    if (ownKinds.has(kind)) return this.#writeObject(key)
    const stamp = this.#stampOf(kind, id)
    const known = this.#objects.get(key)
    if (known?.stamp === stamp) return known.json
    this.#objectText -= known?.json.length ?? 0
    this.#objects.delete(key)
    const json = this.#writeObject(key)
    if (json === null) return null
    if (this.#objects.size >= maxObjects || this.#objectText + json.length > maxObjectText) {
      this.#objects.clear()
      this.#objectText = 0
    }
    this.#objects.set(key, { stamp, json })
    this.#objectText += json.length
    return json
  }

  #stampOf(kind: string, id: string): string {
    const { world, log } = this.#parts
    switch (kind) {
      case 'members':
        return `${log.lastChange(id)}`
      case 'group':
        return `${revisionOfObject(world, 'group', id)}`
      case 'prefixList':
        return `${world.revisionOf('prefixList', id)}`
      default:
        return `${world.revisionOf('settings', id)}`
    }
  }

  #writeObject(key: ViewKey): string | null {
    const object = viewObject(this.#parts.world, key)
    return object === null ? null : JSON.stringify(object)
  }
}
