/** All checks, one after the other: one that measures must not be disturbed by the others. */
import { areas, type Check, type Finding, severities } from './check.ts'
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
  /** By reason: one nft that crashes keeps several checks from looking. */
  const failed = new Map<string, Check[]>()
  for (const check of checks) {
    if (check.needs.includes('nft') && (await host.nftFault()) !== null) {
      skipped.push(check)
      continue
    }
    try {
      findings.push(...(await ask(check, host)))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      failed.set(reason, [...(failed.get(reason) ?? []), check])
    }
  }
  findings.push(...[...failed].map(([reason, some]) => notAskedFinding('check-failed', some, `: ${reason}`)))
  if (skipped.length > 0) findings.push(notAskedFinding('check-skipped', skipped))
  return findings.toSorted(
    (a, b) =>
      severities.indexOf(a.severity) - severities.indexOf(b.severity) || areas.indexOf(a.area) - areas.indexOf(b.area),
  )
}

async function ask(check: Check, host: Host): Promise<readonly Finding[]> {
  const found = await withPatience(check.examine(host))
  return found.map(each => ({ ...each, area: check.area, ...check.outcomes[each.code]! }))
}

function notAskedFinding(code: keyof typeof notAsked, some: readonly Check[], reason = ''): Finding {
  const names = some.map(({ name }) => name)
  return { code, found: `${names.join(', ')}${reason}`, details: names, area: some[0]!.area, ...notAsked[code] }
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
