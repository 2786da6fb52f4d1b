/**
 * A /run/netns of its own: of the namespaces that commands in it make nobody else knows, nor do they know of others'.
 * For tests of what is done with namespaces whose maker is gone: any test, or a lab, may do it at the same time.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface NetnsView extends AsyncDisposable {
  /** Put before a command; it has the command's pid. */
  readonly prefix: readonly [command: string, ...args: readonly string[]]
  names(): readonly string[]
}

export async function openNetnsView(): Promise<NetnsView> {
  const script = 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && echo ready && exec cat'
  const keeper = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(keeper, 'close')
  const said = await Promise.race([once(keeper.stdout, 'data').then(([data]) => String(data)), ended.then(() => '')])
  if (said !== 'ready\n') throw new Error('Cannot make a /run/netns of its own: expected root, and mount namespaces')
  return {
    prefix: ['nsenter', '-t', String(keeper.pid), '-m'],
    names: () => readdirSync(join('/proc', String(keeper.pid), 'root/run/netns')),
    async [Symbol.asyncDispose]() {
      keeper.stdin.end()
      await ended
    },
  }
}
