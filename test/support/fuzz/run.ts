/**
 * Fuzzes the REST API longer than the tests do: `npm run fuzz:api`. RINGWALL_SEED repeats a run, RINGWALL_FUZZ_REQUESTS
 * says how many requests it has. Exit code 1 if an answer was wrong.
 */
import { fuzz } from './session.ts'

const seed = Number(process.env.RINGWALL_SEED ?? Date.now() % 2 ** 32)
const requests = Number(process.env.RINGWALL_FUZZ_REQUESTS ?? 100_000)
console.log(`seed ${seed}, ${requests} requests, and as many that change nothing`)
const megabytes = (bytes = 0) => `${(bytes / 1024 ** 2).toFixed(1)} MB`

for (const changesNothing of [false, true]) {
  const startedMs = performance.now()
  const { statuses, successes, slowest, faults, heapBytes } = await fuzz({ seed, requests, changesNothing })
  const seconds = (performance.now() - startedMs) / 1000
  const sorted = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
  console.log(changesNothing ? 'dry runs' : 'writes')
  console.log(`  ${Math.round(requests / seconds)} requests/s; ${sorted.join(', ')}`)
  console.log(`  slowest answer ${slowest.elapsedMs.toFixed(0)} ms: ${slowest.request.slice(0, 150)}`)
  console.log(`  heap after the first thousand ${megabytes(heapBytes[0])}, at the end ${megabytes(heapBytes.at(-1))}`)
  const never = [...successes].filter(([, count]) => count === 0).map(([operation]) => operation)
  if (never.length > 0) console.log(`  never answered with success: ${never.join(', ')}`)
  for (const fault of faults) console.log(`FAULT ${fault}`)
  if (faults.length > 0) process.exitCode = 1
}
