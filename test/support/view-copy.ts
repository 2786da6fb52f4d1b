/** An agent's copy of its view, kept as the protocol says, in the plainest way. */
import type { Position, ToAgent } from '../../wire/messages.ts'
import { type ViewKey, type ViewObject, viewKey } from '../../wire/view.ts'

export class ViewCopy {
  position: Position | null = null
  readonly objects = new Map<ViewKey, ViewObject>()

  get held(): (Position & { readonly keys: readonly ViewKey[] }) | null {
    return this.position === null ? null : { ...this.position, keys: [...this.objects.keys()] }
  }

  /** @throws {Error} for a delta that does not fit what is held */
  apply(message: Extract<ToAgent, { type: 'snapshot' | 'delta' }>): void {
    const { storeId, revision } = message
    if (message.type === 'snapshot') {
      this.objects.clear()
      for (const object of message.objects) this.objects.set(viewKey(object.kind, object.id), object)
    } else {
      if (this.position?.storeId !== storeId) throw new Error(`delta of store "${storeId}": none of it is held`)
      for (const key of message.remove) {
        if (!this.objects.delete(key)) throw new Error(`delta removes "${key}", which is not held`)
      }
      for (const object of message.set) this.objects.set(viewKey(object.kind, object.id), object)
      for (const { id, add, remove } of message.members) {
        const object = this.objects.get(viewKey('members', id))
        if (object?.kind !== 'members') throw new Error(`delta of members of "${id}", which are not held`)
        const addresses = new Set(object.value.addresses).difference(new Set(remove)).union(new Set(add))
        this.objects.set(viewKey('members', id), {
          ...object,
          value: { ...object.value, addresses: [...addresses].sort() },
        })
      }
    }
    this.position = { storeId, revision }
  }
}
