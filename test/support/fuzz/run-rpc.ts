/**
 * Fuzzes the RPC API longer than the tests do: `npm run fuzz:rpc`. RINGWALL_SEED repeats a run, RINGWALL_FUZZ_REQUESTS
 * says how many requests it has. Exit code 1 if an answer was wrong.
 */
import { fuzzRpc } from './rpc.ts'

const seed = Number(process.env.RINGWALL_SEED ?? Date.now() % 2 ** 32)
const requests = Number(process.env.RINGWALL_FUZZ_REQUESTS ?? 50_000)
console.log(`seed ${seed}, ${requests} requests, and as many that change nothing`)

for (const changesNothing of [false, true]) {
  const { statuses, codes, successes, faults, heapBytes } = await fuzzRpc({ seed, requests, changesNothing })
  const counts = (map: ReadonlyMap<unknown, number>) =>
    [...map]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 12)
      .map(([what, count]) => `${what}: ${count}`)
      .join(', ')
  const megabytes = (bytes = 0) => `${(bytes / 1024 ** 2).toFixed(1)} MB`
  console.log(changesNothing ? 'dry runs' : 'writes')
  console.log(`  ${counts(statuses)}`)
  console.log(`  ${counts(codes)}`)
  console.log(`  heap after the first thousand ${megabytes(heapBytes[0])}, at the end ${megabytes(heapBytes.at(-1))}`)
  const never = [...successes].filter(([, count]) => count === 0).map(([action]) => action)
  if (never.length > 0 && !changesNothing) console.log(`  never answered with success: ${never.join(', ')}`)
  for (const fault of faults) console.log(`FAULT ${fault}`)
  if (faults.length > 0) process.exitCode = 1
}
