/** Verbs that make an object and change one, alike for every kind that has tags, a name and an account. */
import type { Daemon } from './daemon.ts'
import { bodyOf, changed, changedTags, type Kind, made, newBodyOf, newId, readTags, requireChange } from './objects.ts'
import { idPrefixes, pathOf, resources } from './resources.ts'
import { type Flags, type FlagValues, type Verb, verb, type Word } from './verb.ts'

type Body = Readonly<Record<string, unknown>>

interface Writing<F extends Flags> extends Partial<Pick<Verb, 'details' | 'examples'>> {
  readonly summary: string
  readonly flags: F
  /** Of flags that are fields as they stand: flag to field. */
  readonly names: Readonly<Record<string, string>>
  /** What the other flags become in the body. @param id  that was typed, '' for none @throws {UsageError} */
  readonly more?: (daemon: Daemon, flags: FlagValues<F>, id: string) => Promise<Body> | Body
}

interface Creating<F extends Flags> extends Writing<F> {
  /** `create` where left out. */
  readonly name?: string
  /** Whose it will be; the account that --account or the context names where left out. */
  readonly ownerOf?: (daemon: Daemon, flags: FlagValues<F>) => Promise<Body>
}

/** For kinds whose ids can be chosen. */
export type ChosenKind = keyof typeof idPrefixes

export function newIdWord(kind: ChosenKind): Word {
  const help = `the id it shall have, ${idPrefixes[kind]}…; made by the daemon if left out`
  return { name: 'ID', isOptional: true, help }
}

export function createVerb<const F extends Flags>(
  { kind }: Kind & { readonly kind: ChosenKind },
  { name = 'create', flags, names, more, ownerOf = accountOf, ...texts }: Creating<F>,
): Verb {
  return verb({
    name,
    effect: 'makes',
    words: [newIdWord(kind)],
    flags,
    ...texts,
    async run({ daemon, words: [id = ''], flags: given }) {
      const tags = readTags((given as TagFlags).tag)
      const body = {
        ...(id !== '' && newId(kind, id)),
        ...(await ownerOf(daemon, given)),
        ...newBodyOf(given, names),
        ...(await more?.(daemon, given, id)),
        ...(tags !== undefined && { tags }),
      }
      return made(kind, await daemon.write({ method: 'POST', path: resources[kind].path, body }))
    },
  })
}

export function modifyVerb<const F extends Flags>(
  { kind, word }: Kind,
  { flags, names, more, ...texts }: Writing<F>,
): Verb {
  return verb({
    name: 'modify',
    effect: 'changes',
    words: [word],
    flags,
    ...texts,
    async run({ daemon, words: [text = ''], flags: given }) {
      const id = await daemon.idOf(kind, text)
      const { ifRevision, ...tags } = await changedTags(daemon, kind, id, given)
      const body = { ...bodyOf(given, names), ...(await more?.(daemon, given, id)), ...tags }
      requireChange(body, flags)
      const path = pathOf(resources[kind], id)
      return changed(kind, id, await daemon.write({ method: 'PATCH', path, body, ifRevision }))
    },
  })
}

interface TagFlags {
  readonly tag?: readonly string[]
  readonly untag?: readonly string[]
}

/** Whose a new object will be, or whose are shown. @returns nothing where neither --account nor the context names one */
export async function accountOf(
  daemon: Daemon,
  flags: { readonly account?: string | undefined },
): Promise<{ readonly accountId?: string }> {
  const accountId = await daemon.accountId(flags.account)
  return accountId === undefined ? {} : { accountId }
}
