/** Patterns of RAM policies: `*` stands for any run of characters, also none, `?` for one. */

/**
 * In time of pattern times text at most: policies and resource names are of somebody else's making.
 * @param text  compared as it is: who compares without case gives both in lower case
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let [at, read] = [0, 0]
  /** Behind the last `*`, and how much of the text it has taken so far. */
  let [star, taken] = [-1, 0]
  while (read < text.length) {
    // First the star: a text may hold one too.
    if (pattern[at] === '*') {
      star = ++at
      taken = read
    } else if (pattern[at] === '?' || pattern[at] === text[read]) {
      at += 1
      read += 1
    } else if (star >= 0) {
      at = star
      read = ++taken
    } else {
      return false
    }
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}

const [servicePart, relativePart] = [1, 4]

/**
 * Whether a resource is meant: `*`, or `acs:<service>:<region>:<account>:<relative>` with patterns in every part. A `*`
 * ends with its part, so that `acs:ecs:*:1:…` never reaches another account. Services are in any case, as in actions, and
 * so are names of RAM: `user/Alice` and `user/alice` are one user, and a request may write either.
 */
export function matchesResource(pattern: string, resource: string): boolean {
  if (pattern === '*') return true
  const wanted = resourceParts(pattern)
  const parts = resourceParts(resource)
  if (wanted.length !== 5 || parts.length !== 5) return false
  const isRam = parts[servicePart]!.toLowerCase() === 'ram'
  const isInAnyCase = (index: number) => index === servicePart || (isRam && index === relativePart)
  const folded = (text: string, index: number) => (isInAnyCase(index) ? text.toLowerCase() : text)
  return wanted.every((part, index) => matchesGlob(folded(part, index), folded(parts[index]!, index)))
}

/** The last part may hold colons of its own. */
export function resourceParts(text: string): readonly string[] {
  const [prefix = '', service, region, account, ...relative] = text.split(':')
  if (service === undefined || region === undefined || account === undefined || relative.length === 0) return [text]
  return [prefix, service, region, account, relative.join(':')]
}
