/** Numbered flows of some thousand messages a second, which show a single lost packet. */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Namespace } from '../../lab/netns.ts'

const endFile = `${import.meta.dirname}/flow-end.ts`

export interface Flow {
  /** Ends the flow and waits for what is on the way. `lost` messages of those `sent` were never answered. */
  stop(): Promise<{ readonly sent: number; readonly lost: number }>
}

/** Answers flows on the port, over UDP and TCP in both families, until the namespace goes. */
export async function answerFlows(namespace: Namespace, port: number): Promise<void> {
  await startEnd(namespace, ['answer', String(port)])
}

export async function startFlow(
  namespace: Namespace,
  { protocol, address, port }: { readonly protocol: 'udp' | 'tcp'; readonly address: string; readonly port: number },
): Promise<Flow> {
  const { child, lines } = await startEnd(namespace, ['ask', protocol, address, String(port)])
  return {
    async stop() {
      child.stdin!.end()
      const { value, done } = await lines.next()
      if (done) throw new Error('The asking end of a flow ended without a result')
      return JSON.parse(value)
    },
  }
}

async function startEnd(namespace: Namespace, args: readonly string[]) {
  const child: ChildProcess = namespace.spawn(process.execPath, [endFile, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  if ((await lines.next()).done) throw new Error(`The end of a flow ended before it was ready: ${args.join(' ')}`)
  return { child, lines }
}
