/** What the figures were taken on. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release } from 'node:os'

export function describeMachine(): string {
  const nft = execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim()
  const facts = [
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model}, ${availableParallelism()} cores`,
    `Linux ${release()}, ${nft}, Node ${process.version}`,
  ]
  return `${facts.map(fact => `- ${fact}`).join('\n')}\n`
}
