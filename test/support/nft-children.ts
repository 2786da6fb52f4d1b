/** What an agent has at work, and what one that was killed has left there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Namespace } from '../../lab/netns.ts'
import { eventually } from './sessions.ts'

/** A child of the killed agent may still be at work: what it was given is a whole transaction. */
export async function lastTransactionDone(namespace: Namespace): Promise<void> {
  await eventually(async () => {
    const { stdout } = await namespace.run('ip', ['netns', 'pids', namespace.name])
    const working = stdout.split('\n').filter(pid => /^nft\0-/.test(commandOf(pid)))
    assert.deepEqual(working, [])
  })
}

/** What a process has started and not waited for yet: each as /proc has it, words ending in \0. */
export function childrenOf(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(commandOf)
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
