/** BIRD or ExaBGP on a host and BIRD on its router, in namespaces, with the configurations of examples/rtbh as they are. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { debianProgram, pythonProgram } from './debian-programs.ts'
import { eventually } from './sessions.ts'

export const bird = debianProgram('bird2', 'usr/sbin/bird')
const birdcl = debianProgram('bird2', 'usr/sbin/birdcl')
export const exabgp = pythonProgram('exabgp', 'exabgp')
export const exampleFolder = join(import.meta.dirname, '../../examples/rtbh')

export type Speaker = 'bird' | 'exabgp'

export interface BirdPair extends AsyncDisposable {
  readonly host: Namespace
  readonly router: Namespace
  /** Where the host's speaker looks for routes. */
  readonly folder: string
  /** How the host's BIRD is spoken to; `none` where it is ExaBGP. */
  readonly birdc: readonly string[]
  /** Routes of the router's kernel that drop, sorted; the host bits of the prefix are left out as `ip` does. */
  blackHoles(): Promise<readonly string[]>
  /** Resolves when those are the routes. @throws {Error} saying what they are after a minute */
  untilBlackHoles(expected: readonly string[]): Promise<void>
  /** Of the router's BIRD, `show route all` say. */
  ask(...words: readonly string[]): Promise<string>
}

const deadlineMs = 60_000

/** @param speaker  on the host */
export async function startBirds(speaker: Speaker = 'bird'): Promise<BirdPair> {
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
  const example = async (name: string) => {
    const text = await readFile(join(exampleFolder, name), 'utf8')
    const path = join(folder, name)
    const here = text
      .replaceAll('/var/lib/ringwall-rtbh', routesFolder)
      .replaceAll('/usr/local/lib/ringwall', exampleFolder)
      .replace('log syslog', 'log stderr')
    await writeFile(path, here)
    return path
  }
  stack.use(await startBird(router, await example('bird-router.conf'), join(folder, 'router')))
  if (speaker === 'bird') {
    stack.use(await startBird(host, await example('bird-host.conf'), join(folder, 'host')))
  } else {
    // It runs its process as "nobody" otherwise, who cannot look into a folder of this test's.
    const settings = ['env', 'exabgp_daemon_user=root', 'exabgp_api_cli=false', 'exabgp_log_destination=stderr']
    stack.use(await startSpeaker(host, [...settings, ...exabgp.command, await example('exabgp.conf')], 'exabgp'))
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
    birdc: speaker === 'bird' ? clientOf('host') : ['none'],
    ask,
    blackHoles,
    untilBlackHoles: (expected: readonly string[]) =>
      eventually(async () => assert.deepEqual(await blackHoles(), [...expected].sort()), deadlineMs),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  await eventually(async () => assert.match(await ask('show', 'protocols', 'customer'), /Established/), deadlineMs)
  return pair
}

/** @param place  of its files, without their endings */
function startBird(namespace: Namespace, configuration: string, place: string): Promise<AsyncDisposable> {
  const flags = ['-f', '-c', configuration, '-s', `${place}.ctl`, '-P', `${place}.pid`]
  return startSpeaker(namespace, [...bird.command, ...flags], 'Started')
}

/** @param sign  that it has begun, in what it logs */
async function startSpeaker(namespace: Namespace, command: readonly string[], sign: string): Promise<AsyncDisposable> {
  const [program = '', ...args] = command
  const child = namespace.spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  let said = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes(sign)) resolve()
      })
    }
    void ended.then(() => reject(new Error(`"${command.join(' ')}" has ended: ${said}`)))
  })
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
