/** A host with systemd on which the services run, and somebody outside who knocks at its door. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { connect, createNamespace } from '../../lab/netns.ts'
import { type ContainerOptions, startContainer, writeIn } from './container.ts'
import { addresses } from './host-network.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from './policy-documents.ts'
import { eventually } from './sessions.ts'

export const units = {
  agent: 'ringwall-agent.service',
  boot: 'ringwall-boot.service',
  daemon: 'ringwalld.service',
} as const

const network = `
[Match]
Name=eth0
[Network]
Address=${addresses.host.ip}/24
LinkLocalAddressing=no
IPv6AcceptRA=no
`

export const stateDir = '/var/lib/ringwall'
/** How long a service may take for what it does by itself: twice the longest rest before it tries something again. */
export const servicePatienceMs = 60_000

/** A policy file: these ports are open, nobody outside may ping the host, and the host may ping out. */
export function opening(...ports: readonly number[]): string {
  const rules = [...ports.flatMap(port => acceptPort(port)), ...acceptEcho('egress')]
  return JSON.stringify(policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', rules)]))
}

/** A large ruleset takes seconds on a busy machine. */
const listingMs = 90_000

/** What a busy machine makes the agent say at its start, and is no fault of it. */
const slowStart = /the monitors do not hear yet|One element takes \d+ ms to change/

/** Lines of a journal by which a service says that something is wrong. */
export function complaintsIn(journal: string): readonly string[] {
  const lines = journal.split('\n')
  return lines.filter(line => /"level":"(warn|error|fatal)"/.test(line) && !slowStart.test(line))
}

export interface ServiceHostOptions extends Partial<ContainerOptions> {
  /** Texts of files by their paths, from the root without the first slash. */
  readonly files: Readonly<Record<string, string>>
}

export type ServiceHost = Awaited<ReturnType<typeof startServiceHost>>

export async function startServiceHost({ files, root = 'bookworm', ...options }: ServiceHostOptions) {
  const outside = await createNamespace('outside')
  const host = await createNamespace('host')
  await connect(
    { namespace: outside, device: 'eth0', addresses: [`${addresses.outside.ip}/24`] },
    { namespace: host, device: 'eth0' },
  )
  const container = await startContainer(
    host,
    view => {
      writeIn(view, 'etc/systemd/network/eth0.network', network)
      for (const [path, text] of Object.entries(files)) writeIn(view, path, text)
    },
    { root, ...options },
  )

  const systemctl = (...args: readonly string[]) => container.run('systemctl', args)

  /** Of this boot, as printed. */
  async function journalText(unit: string): Promise<string> {
    return (await container.run('journalctl', ['-b', '-u', unit, '-o', 'cat', '--no-pager'])).stdout
  }

  /** Messages that the unit has logged in this boot. */
  async function journal(unit: string): Promise<readonly string[]> {
    const lines = (await journalText(unit)).trimEnd().split('\n')
    return lines.map(line => (line.startsWith('{') ? (JSON.parse(line).msg as string) : line))
  }

  /** Without what is counted: any number may be among that. */
  async function ruleset(): Promise<string> {
    const list = ['--stateless', 'list', 'table', 'inet', 'ringwall']
    return (await host.run('nft', list, { timeoutMs: listingMs })).stdout
  }

  const untilNamed = (read: () => Promise<string>, port: number, timeoutMs = servicePatienceMs) =>
    eventually(async () => {
      if (!new RegExp(`\\b${port}\\b`).test(await read())) throw new Error(`port ${port} is not in the ruleset`)
    }, timeoutMs)

  return {
    outside,
    host,
    /** In the kernel, as nft prints it. */
    ruleset,
    untilInKernel: (port: number, timeoutMs?: number) => untilNamed(ruleset, port, timeoutMs),
    /** Waits until the ruleset for the next boot names a port. */
    untilKept: (port: number) => untilNamed(async () => container.read(`${stateDir}/ruleset.nft`), port),

    async replacePolicy(text: string): Promise<void> {
      container.write('etc/ringwall/policy.yaml.new', text)
      await container.run('mv', ['/etc/ringwall/policy.yaml.new', '/etc/ringwall/policy.yaml'])
    },

    async doctor() {
      const { stdout, exitCode } = await container.run('ringwall', ['doctor', '--json'], { allowFailure: true })
      const { findings } = JSON.parse(stdout) as { findings: { code: string }[] }
      return { exitCode, codes: findings.map(({ code }) => code) }
    },

    /** Its disk, as the kernel makes it when there are errors; where it is "mounted" so, every view of it is. */
    async makeReadOnly(how: 'by the kernel' | 'mounted'): Promise<void> {
      await container.remountDisk('ro')
      if (how === 'by the kernel') await container.remountDisk('bind,rw')
    },

    /** Leaves no room on its disk, until the file `filler` is removed there. */
    async fillUp(): Promise<void> {
      await container.remountDisk('size=2m')
      // Again for what the agent takes back of what it was just writing.
      const fill = `head -c 64M /dev/zero >>${stateDir}/filler`
      await container.run('sh', ['-c', `for count in 1 2 3 4 5; do ${fill}; sleep 0.1; done || true`])
    },

    container,
    systemctl,
    journalText,
    kill: (signal: string, pid: string) => container.run('sh', ['-c', `kill -s ${signal} ${pid}`]),
    mainPid: (unit: string) => container.property(unit, 'MainPID'),

    /** Waits until a unit is active in a process other than this one, if one is given; of the process the pid. */
    untilActive(unit: string, { not }: { readonly not?: string } = {}): Promise<string> {
      return eventually(async () => {
        // Asked at once: between two questions it may have ended.
        const { stdout: shown } = await systemctl('show', '-p', 'ActiveState', '-p', 'MainPID', unit)
        const [, pid = '0'] = /^MainPID=(\d+)$/m.exec(shown) ?? []
        const [, state = 'unknown'] = /^ActiveState=(.+)$/m.exec(shown) ?? []
        if (state === 'active' && pid !== '0' && pid !== not) return pid
        throw new Error(`${unit} is ${state} (pid ${pid}):\n${(await journalText(unit)).slice(-4000)}`)
      }, servicePatienceMs)
    },

    journal,

    /**
     * Waits until a unit has logged all of these in this boot, after the first `from` messages. What it has said when it
     * is active, or has ended, may still be on its way to the journal.
     */
    async untilLogged(unit: string, messages: readonly (string | RegExp)[], from = 0): Promise<void> {
      await eventually(async () => {
        const logged = (await journal(unit)).slice(from)
        const isThere = (message: string | RegExp) =>
          typeof message === 'string' ? logged.includes(message) : logged.some(line => message.test(line))
        const missing = messages.filter(message => !isThere(message))
        if (missing.length > 0)
          throw new Error(`${unit} has not logged "${missing.join('", "')}":\n${logged.join('\n')}`)
      }, servicePatienceMs)
    },

    /** What the agent answers to health checks. @throws {Error} where none is there */
    async health(): Promise<{ readonly healthy: boolean; readonly inForce: boolean; readonly problems: string[] }> {
      const ask = `fetch('http://127.0.0.1:9469/health').then(a => a.text()).then(t => console.log(t))`
      return JSON.parse((await host.run(process.execPath, ['-e', ask])).stdout)
    },

    async hasTable(): Promise<boolean> {
      const { stdout } = await host.run('nft', ['list', 'tables'])
      return stdout.includes('table inet ringwall\n')
    },

    /** Leaves of a file nothing, or all but its end; also while the host is switched off. */
    async tear(path: string, to: 'empty' | 'torn'): Promise<void> {
      const text = container.read(path)
      container.write(path, to === 'empty' ? '' : text.slice(0, -40))
    },

    /** Whether a ping from outside is answered; on a busy machine one may be late. */
    async answers(): Promise<boolean> {
      const ping = ['-n', '-c', '2', '-i', '0.1', '-W', '0.3', addresses.host.ip]
      return (await outside.run('ping', ping, { allowFailure: true })).exitCode === 0
    },

    /**
     * Switched on again as a machine is: no rules in the kernel, no address and no link; somebody outside knocks all
     * the time, until its services have started or `until` resolves.
     * @returns how many of the knocks were answered since it was switched off
     */
    async rebootAndKnock(whileOff = async () => {}, until = container.untilUp): Promise<number> {
      // Known to whoever knocks: the question of who has the address would be tried once a second only.
      const { stdout: mac } = await host.run('cat', ['/sys/class/net/eth0/address'])
      const neighbour = [addresses.host.ip, 'lladdr', mac.trim(), 'dev', 'eth0', 'nud', 'permanent']
      await outside.run('ip', ['neigh', 'replace', ...neighbour])
      const ping = outside.spawn('ping', ['-n', '-i', '0.005', '-W', '0.1', addresses.host.ip], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const ended = once(ping, 'close')
      let answers = 0
      const isAnswer = (line: string) => line.includes('bytes from')
      createInterface({ input: ping.stdout! }).on('line', line => {
        if (isAnswer(line)) answers += 1
      })
      try {
        await container.reboot(async () => {
          await host.run('ip', ['link', 'set', 'eth0', 'down'])
          await host.run('ip', ['addr', 'flush', 'dev', 'eth0'])
          await host.run('nft', ['flush', 'ruleset'])
          // The namespace outlives the machine, whose kernel would know no session.
          await host.run('conntrack', ['-F'])
          await whileOff()
          answers = 0
        })
        // It is there: it gets out.
        await eventually(() => container.run('ping', ['-c', '1', '-W', '1', addresses.outside.ip]), 20_000)
        await until()
        const lastly = ['-n', '-c', '20', '-i', '0.01', '-W', '0.1', addresses.host.ip]
        const { stdout } = await outside.run('ping', lastly, { allowFailure: true })
        answers += stdout.split('\n').filter(isAnswer).length
      } finally {
        ping.kill()
        await ended
      }
      return answers
    },

    async [Symbol.asyncDispose]() {
      await container[Symbol.asyncDispose]()
      await host[Symbol.asyncDispose]()
      await outside[Symbol.asyncDispose]()
    },
  }
}
