/** All checks, one after the other: one that measures must not be disturbed by the others. */
import { areas, type Check, type Finding, type Found, severities } from './check.ts'
import { checks } from './checks.ts'
import { type Host, type HostOptions, openHost } from './host.ts'
import { notAsked } from './not-asked.ts'

/** Far more than any check takes on a host that answers. */
const patienceMs = 30_000

/** The worst first, then by area. Never throws: what cannot be looked at is a finding. */
export async function examineHost(options: HostOptions): Promise<readonly Finding[]> {
  const host = openHost(options)
  const findings: Finding[] = []
  const skipped: Check[] = []
  for (const check of checks) {
    if (check.needs.includes('nft') && (await host.nftFault()) !== null) skipped.push(check)
    else findings.push(...(await ask(check, host)))
  }
  if (skipped.length > 0) findings.push(withoutNft(skipped))
  return findings.toSorted(
    (a, b) =>
      severities.indexOf(a.severity) - severities.indexOf(b.severity) || areas.indexOf(a.area) - areas.indexOf(b.area),
  )
}

async function ask(check: Check, host: Host): Promise<readonly Finding[]> {
  try {
    const found = await withPatience(check.examine(host))
    return found.map(each => ({ ...each, area: check.area, ...check.outcomes[each.code]! }))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return [notAskedFinding(check, { code: 'check-failed', found: `${check.name}: ${reason}` })]
  }
}

/** The check goes on, and nobody waits for it: what it asks has time limits of its own. */
async function withPatience<T>(task: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs / 1000} s`)), patienceMs)
  try {
    return await Promise.race([task, promise])
  } finally {
    clearTimeout(timer)
  }
}

function withoutNft(skipped: readonly Check[]): Finding {
  const names = skipped.map(({ name }) => name)
  return notAskedFinding(skipped[0]!, { code: 'check-skipped', found: names.join(', '), details: names })
}

function notAskedFinding({ area }: Check, found: Found<keyof typeof notAsked>): Finding {
  return { ...found, area, ...notAsked[found.code] }
}
