/** How the agent stands in one sentence, for `systemctl status`. */
import type { DdosStatus } from '../wire/ddos.ts'
import type { AgentHealth } from './report.ts'
import type { SourceStatus } from './source.ts'

export interface Standing {
  readonly health: Pick<AgentHealth, 'inForce' | 'problems' | 'enis'>
  /** Null while the agent starts. */
  readonly source: SourceStatus | null
  readonly instances: readonly Pick<DdosStatus, 'instanceId' | 'phase'>[]
}

/** Of many instances under attack the first say enough; /ddos has all of them. */
const mostNamed = 3

export function statusLine({ health, source, instances }: Standing): string {
  return [
    enforcement(health),
    ...(source === null ? [] : [leader(source)]),
    ...attacks(instances),
    ...health.problems.slice(0, 1).map(problem => `problem: ${problem}`),
  ].join('; ')
}

function enforcement({ inForce, enis }: Standing['health']): string {
  const count = (state: (typeof enis)[number]['state']) => enis.filter(eni => eni.state === state).length
  const enforced = `${count('enforced')} ${count('enforced') === 1 ? 'ENI' : 'ENIs'} enforced`
  const missing = count('device-missing')
  const alone = count('no-group')
  return [
    inForce || enis.length > 0 ? enforced : 'nothing enforced yet',
    ...(missing === 0 ? [] : [`${missing} without device`]),
    ...(alone === 0 ? [] : [`${alone} without group`]),
  ].join(', ')
}

function leader(source: SourceStatus): string {
  if (source.kind === 'file') return `policy ${source.path}`
  const revision = source.enforcedRevision === null ? 'no revision' : `revision ${source.enforcedRevision}`
  const behind = source.revision === source.enforcedRevision ? '' : `, ${source.revision} to come`
  const since = `${source.since.slice(0, 16).replace('T', ' ')} UTC`
  return `${revision}${behind}; daemon ${source.connected ? 'connected' : 'away'} since ${since}`
}

function attacks(instances: Standing['instances']): readonly string[] {
  const attacked = instances.filter(({ phase }) => phase !== 'normal').map(({ instanceId }) => instanceId)
  if (attacked.length === 0) return []
  const more = attacked.length > mostNamed ? ` and ${attacked.length - mostNamed} more` : ''
  return [`under attack: ${attacked.slice(0, mostNamed).join(', ')}${more}`]
}
