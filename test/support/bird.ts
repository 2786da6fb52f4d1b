/** BIRD in namespaces: a host and its router, with the configurations of examples/rtbh as they stand there. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { debianProgram } from './debian-programs.ts'
import { eventually } from './sessions.ts'

export const bird = debianProgram('bird2', 'usr/sbin/bird')
const birdcl = debianProgram('bird2', 'usr/sbin/birdcl')
export const exampleFolder = join(import.meta.dirname, '../../examples/rtbh')

export interface BirdPair extends AsyncDisposable {
  readonly host: Namespace
  readonly router: Namespace
  /** Where the host's BIRD looks for routes. */
  readonly folder: string
  /** How the host's BIRD is spoken to. */
  readonly birdc: readonly string[]
  /** Routes of the router's kernel that drop, sorted; the host bits of the prefix are left out as `ip` does. */
  blackHoles(): Promise<readonly string[]>
  /** Resolves when those are the routes. @throws {Error} saying what they are after 30 s */
  untilBlackHoles(expected: readonly string[]): Promise<void>
  /** Of the router's BIRD, `show route all` say. */
  ask(...words: readonly string[]): Promise<string>
}

const deadlineMs = 30_000

export async function startBirds(): Promise<BirdPair> {
  const stack = new AsyncDisposableStack()
  const host = stack.use(await createNamespace('bird-host'))
  const router = stack.use(await createNamespace('bird-router'))
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bird-'))
  stack.defer(() => rm(folder, { recursive: true }))
  await connect(
    {
      namespace: host,
      device: 'eth0',
      addresses: ['198.18.255.2/30', '2001:db8:ff::2/64', '198.18.0.2/32', '2001:db8::2/128'],
    },
    { namespace: router, device: 'eth0', addresses: ['198.18.255.1/30', '2001:db8:ff::1/64'] },
  )
  await router.run('ip', ['route', 'add', '198.18.0.0/24', 'via', '198.18.255.2'])
  await router.run('ip', ['-6', 'route', 'add', '2001:db8::/64', 'via', '2001:db8:ff::2'])
  const routesFolder = join(folder, 'routes')
  await mkdir(routesFolder)
  for (const [name, namespace] of Object.entries({ host, router })) {
    const example = await readFile(join(exampleFolder, `bird-${name}.conf`), 'utf8')
    const text = example.replaceAll('/var/lib/ringwall-rtbh', routesFolder).replace('log syslog', 'log stderr')
    await writeFile(join(folder, `${name}.conf`), text)
    stack.use(await startBird(namespace, folder, name))
  }
  const clientOf = (name: string) => [...birdcl.command, '-s', join(folder, `${name}.ctl`)]
  const ask = async (...words: readonly string[]) => {
    const [program = '', ...args] = clientOf('router')
    return (await router.run(program, [...args, ...words])).stdout
  }
  const blackHoles = async () => {
    const listings = await Promise.all(
      ['-4', '-6'].map(family => router.run('ip', [family, 'route', 'show', 'type', 'blackhole'])),
    )
    return listings
      .flatMap(({ stdout }) => [...stdout.matchAll(/^blackhole (\S+) /gm)].map(([, prefix]) => prefix!))
      .sort()
  }
  const pair = {
    host,
    router,
    folder: routesFolder,
    birdc: clientOf('host'),
    ask,
    blackHoles,
    untilBlackHoles: (expected: readonly string[]) =>
      eventually(async () => assert.deepEqual(await blackHoles(), [...expected].sort()), deadlineMs),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  await eventually(async () => assert.match(await ask('show', 'protocols', 'customer'), /Established/), deadlineMs)
  return pair
}

async function startBird(namespace: Namespace, folder: string, name: string): Promise<AsyncDisposable> {
  const file = (ending: string) => join(folder, `${name}.${ending}`)
  const [program = '', ...args] = bird.command
  const flags = ['-f', '-c', file('conf'), '-s', file('ctl'), '-P', file('pid')]
  const child = namespace.spawn(program, [...args, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'close')
  const said: string[] = []
  await new Promise<void>((resolve, reject) => {
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said.push(text)
      if (said.join('').includes('Started')) resolve()
    })
    void ended.then(() => reject(new Error(`BIRD of the ${name} has ended: ${said.join('')}`)))
  })
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
