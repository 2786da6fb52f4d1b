/**
 * `npm run bench [-- NAME] [-- --quick]`: measures, prints tables. A full run of everything also writes RESULTS.md.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { removeStale } from '../lab/netns.ts'
import { measureAgent } from './agent.ts'
import { measureApi } from './api.ts'
import { measureCompile } from './compile.ts'
import { measureFloods } from './floods.ts'
import { measureLoad } from './load.ts'
import { measureLogs } from './logs.ts'
import { describeMachine } from './machine.ts'
import { measurePackage } from './package.ts'
import { measurePackets } from './packets.ts'
import { measurePush } from './push.ts'
import { measureRpc } from './rpc.ts'
import { measureScrubAgent } from './scrub-agent.ts'
import { measureScrubPackets } from './scrub-packets.ts'
import { measureStore } from './store.ts'
import { type Depth, printSection, type Section } from './table.ts'

const benchmarks: Readonly<Record<string, (depth: Depth) => Promise<readonly Section[]>>> = {
  packets: measurePackets,
  logs: measureLogs,
  compile: measureCompile,
  load: measureLoad,
  agent: measureAgent,
  package: measurePackage,
  'scrub-agent': measureScrubAgent,
  store: measureStore,
  api: measureApi,
  rpc: measureRpc,
  push: measurePush,
  scrub: measureScrubPackets,
  floods: measureFloods,
}
/** Those that need no namespaces. */
const rootless: ReadonlySet<string> = new Set(['compile', 'store', 'api', 'rpc'])

const { values, positionals } = parseArgs({ options: { quick: { type: 'boolean' } }, allowPositionals: true })
const unknown = positionals.find(name => !Object.hasOwn(benchmarks, name))
if (unknown !== undefined) {
  console.error(`Cannot measure "${unknown}": expected ${Object.keys(benchmarks).join(', ')}`)
  process.exit(2)
}
await removeStale()
const chosen = positionals.length === 0 ? Object.keys(benchmarks) : positionals
const parts = [describeMachine()]
console.log(parts[0])
for (const name of chosen) {
  for (const section of await measureOrSkip(name, values.quick ? 'quick' : 'full')) {
    parts.push(printSection(section))
    console.log(parts.at(-1))
  }
}
if (positionals.length === 0 && !values.quick) {
  await writeFile(join(import.meta.dirname, 'RESULTS.md'), `# Results\n\n${parts.join('\n')}`)
}

/** One that cannot run here says why, in the results too; the others go on. */
async function measureOrSkip(name: string, depth: Depth): Promise<readonly Section[]> {
  if (!rootless.has(name) && process.getuid?.() !== 0) return [skipped(name, 'needs root, for network namespaces')]
  try {
    return await benchmarks[name]!(depth)
  } catch (error) {
    return [skipped(name, (error as Error).message)]
  }
}

function skipped(name: string, reason: string): Section {
  return { heading: `Not measured: ${name}`, columns: [], rows: [], notes: [reason] }
}
