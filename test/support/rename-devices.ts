import type { Namespace } from '../../lab/netns.ts'

type Pair = readonly [from: string, to: string]

/** One after the other, by one process. Linux before 6.2 renames only what is down, and udev takes it down there. */
export async function renameDevices(namespace: Namespace, ...pairs: readonly Pair[]): Promise<void> {
  const nameOf = ([from, to]: Pair) => `link set ${from} name ${to}`
  const { exitCode } = await namespace.run('ip', ['-batch', '-'], {
    input: textOf(pairs.map(nameOf)),
    allowFailure: true,
  })
  if (exitCode === 0) return
  const whileDown = pairs.flatMap(pair => [`link set ${pair[0]} down`, nameOf(pair), `link set ${pair[1]} up`])
  await namespace.run('ip', ['-batch', '-'], { input: textOf(whileDown) })
}

const textOf = (lines: readonly string[]) => lines.map(line => `${line}\n`).join('')
