/**
 * A host with systemd as its first process, in a network namespace of the tests: `scripts/systemd-root.sh` makes the
 * root folder, systemd-nspawn starts it with a layer of its own above, which is kept over reboots and is gone with it.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CommandResult, createNamespace, type Namespace, type RunOptions, startTime } from '../../lab/netns.ts'
import { launcherText, makeProgram } from './program.ts'
import { needsKernel } from './requirements.ts'
import { eventually } from './sessions.ts'

const project = join(import.meta.dirname, '../..')
const cache = join(project, 'node_modules/.cache')
const roots = join(cache, 'systemd-root')
const nspawn = join(cache, 'debian/systemd-container/usr/bin/systemd-nspawn')

/** Where packages put the program. */
const programFolder = '/usr/lib/ringwall'

export interface Container extends AsyncDisposable {
  /** @throws {Error} with its output where it fails, unless failure is allowed */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<CommandResult>
  /** A property of a unit, as `systemctl show` prints it. */
  property(unit: string, name: string): Promise<string>
  /** Writes a file as root, with the folders above it. */
  write(path: string, text: string, mode?: number): void
  read(path: string): string
  /** Mounts its own disk anew, with options as mount(8) has them: `ro`, `rw`, `size=4m`. */
  remountDisk(options: string): Promise<void>
  /** Switches it off, has `whileOff` done, and switches it on again; commands can be run then, services are starting. */
  reboot(whileOff?: () => Promise<void>): Promise<void>
  /** Waits until all services that are to be there have started, or failed to. */
  untilUp(): Promise<void>
}

/** While it is switched on. */
interface Machine {
  readonly child: ChildProcess
  /** The container's first process, as seen from here. */
  readonly leader: number
}

export interface ContainerOptions {
  /** One of those that scripts/systemd-root.sh makes. */
  readonly root: RootName
  /** What is installed beforehand: what the packages bring, if left out. */
  readonly program?: 'ours' | 'none'
  /** The path of a folder that is a file system of its own, in memory; it is kept over reboots. None, if left out. */
  readonly disk?: string
}

export type RootName = 'bookworm' | 'bookworm-firewalls'

/** Of commands inside: nothing of this machine's. */
const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8']

/** How long systemd may take until it can be spoken to. */
const bootMs = 40_000
/** A machine that has not gone by then loses its power: as long as its units may take to stop. */
const offMs = 30_000
const namePrefix = 'ringwall'
let serial = 0

/**
 * Of each test and hook with such a machine, which starts, stops and starts again beside others, on a busy one. They do not
 * have it of the suite around them.
 */
export const machineTime = { timeout: 300_000 } as const

/** As node:test's `skip` wants it: false, or why no such container can run here. */
export const needsSystemd: string | false = await reasonAgainst('bookworm')

/** The same, of a root with the firewall managers and container engines of Debian. */
export const needsFirewalls: string | false = needsSystemd || reasonAgainstRoot('bookworm-firewalls')

/** systemd-nspawn is tried: it asks for more than a kernel that has namespaces grants everywhere. */
async function reasonAgainst(root: RootName): Promise<string | false> {
  const reason = needsKernel || reasonAgainstRoot(root)
  if (reason !== false) return reason
  try {
    await using namespace = await createNamespace('probe')
    await using layer = await makeLayer(namespace, root)
    const child = layer.start(['--pipe', '--', '/bin/true'], 'pipe')
    const [said, [exitCode]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
    return exitCode === 0 ? false : `needs systemd-nspawn, which cannot start here: ${said.trim()}`
  } catch (error) {
    return `needs systemd-nspawn, which cannot start here: ${(error as Error).message}`
  }
}

function reasonAgainstRoot(root: RootName): string | false {
  if (existsSync(join(roots, root)) && existsSync(nspawn)) return false
  const failure = join(roots, `${root}.reason`)
  return existsSync(failure)
    ? `needs a Debian with systemd, which could not be made: ${readFileSync(failure, 'utf8').trim()}`
    : `needs a Debian with systemd, which "scripts/systemd-root.sh ${root}" makes`
}

/**
 * Installs the program and its units, and starts it.
 * @param namespace  its network, which outlives reboots
 * @param prepare    before the first start, with the folder that will be its root
 */
export async function startContainer(
  namespace: Namespace,
  prepare: (root: string) => void,
  { root, program = 'ours', disk }: ContainerOptions = { root: 'bookworm' },
): Promise<Container> {
  const layer = await makeLayer(namespace, root)
  let machine: Machine
  try {
    if (disk !== undefined) await layer.mountDisk(disk)
    if (program === 'ours') await install(layer.view)
    prepare(layer.view)
    machine = await boot()
    await untilUp()
  } catch (error) {
    await layer[Symbol.asyncDispose]()
    throw error
  }

  async function boot(): Promise<Machine> {
    const child = layer.start(['--boot', '--kill-signal=SIGRTMIN+3', '--console=read-only'], 'ignore')
    try {
      const leader = await eventually(async () => leaderOf(child.pid!), bootMs)
      await eventually(() => inside(leader, 'systemctl', ['show', '-P', 'Version']), bootMs)
      return { child, leader }
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  async function untilUp(): Promise<void> {
    const { stdout } = await inside(machine.leader, 'systemctl', ['is-system-running', '--wait'], {
      allowFailure: true,
      timeoutMs: 60_000,
    })
    if (!/^(running|degraded)/.test(stdout)) throw new Error(`The container is not up: ${stdout}`)
  }

  async function off(): Promise<void> {
    // A boot that failed has left none.
    if (machine.child.exitCode !== null || machine.child.signalCode !== null) return
    const { child, leader } = machine
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    // With the first process all others end; with systemd-nspawn they would not.
    const powerCut = setTimeout(() => killIfThere(leader), offMs)
    await gone
    clearTimeout(powerCut)
  }

  return {
    run: (command, args, options) => inside(machine.leader, command, args, options),
    async property(unit, property) {
      const { stdout } = await inside(machine.leader, 'systemctl', ['show', '-P', property, unit])
      return stdout.trim()
    },
    write(path, text, mode = 0o644) {
      writeIn(layer.view, path, text, mode)
    },
    read: path => readFileSync(join(layer.view, path), 'utf8'),
    async remountDisk(options) {
      if (disk === undefined) throw new Error('Cannot remount: this container has no disk of its own')
      await layer.remountDisk(disk, options)
    },
    async reboot(whileOff = async () => {}) {
      await off()
      await whileOff()
      machine = await boot()
    },
    untilUp,
    async [Symbol.asyncDispose]() {
      // Nothing in it is kept. All its processes end with the first, and systemd-nspawn when they have.
      const { child, leader } = machine
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit')
        killIfThere(leader)
        await gone
      }
      await layer[Symbol.asyncDispose]()
    },
  }

  function inside(leader: number, command: string, args: readonly string[], options?: RunOptions) {
    return namespace.run(
      'nsenter',
      ['-t', String(leader), '-m', '-u', '-i', '-p', '-C', '-r', '-w', 'env', '-i', ...environment, command, ...args],
      options,
    )
  }
}

/** The root folder of one container, to be changed as it likes. */
interface Layer extends AsyncDisposable {
  /** The folder as this process sees it. */
  readonly view: string
  /** systemd-nspawn, which ends with this process at the latest; what it starts may live on until `removeStale`. */
  start(args: readonly string[], errors: 'pipe' | 'ignore'): ChildProcess
  /** Before the start: what is mounted later is not seen inside. */
  mountDisk(path: string): Promise<void>
  remountDisk(path: string, options: string): Promise<void>
}

async function makeLayer(namespace: Namespace, root: RootName): Promise<Layer> {
  removeStale()
  serial += 1
  const name = `${namePrefix}-${process.pid}-${startTime(process.pid)}-${serial}`
  const groups = makeControlGroups(name)
  const layers = join(cache, `systemd-layers/${name}`)
  mkdirSync(layers, { recursive: true })
  const keeper = keepMounts({ layers, label: namespace.name, below: join(roots, root) })
  await keeper.ready
  const flags = ['-q', '-D', `${layers}/root`, `--machine=${name}`, '--register=no', '--keep-unit']
  // runc, which Docker calls, wants keys of its own and a say over devices. No name is asked of this machine's resolver.
  const whole = ['--system-call-filter=@keyring bpf', '--resolv-conf=off', '--timezone=off']
  const network = [
    // Not its own to nspawn, where the network was made by somebody else.
    '--capability=CAP_NET_ADMIN',
    `--network-namespace-path=/run/netns/${namespace.name}`,
  ]
  const joinGroups = groups.map(group => `echo $$ >${group}/cgroup.procs`).join('; ')
  const view = `/proc/${keeper.pid}/root${layers}/root`
  const mount = async (...args: readonly string[]) => {
    await namespace.run('nsenter', ['-t', String(keeper.pid), '-m', 'mount', ...args])
  }
  return {
    view,
    async mountDisk(path) {
      mkdirSync(join(view, path), { recursive: true })
      await mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', join(layers, 'root', path))
    },
    remountDisk: (path, options) => mount('-o', `remount,${options}`, join(layers, 'root', path)),
    start(args, errors) {
      const enter = ['nsenter', '-t', String(keeper.pid), '-m', 'sh', '-c', `${joinGroups}; exec "$@"`, 'sh']
      return spawn(
        'setpriv',
        ['--pdeathsig', 'KILL', '--', ...enter, nspawn, ...flags, ...whole, ...network, ...args],
        {
          stdio: ['ignore', 'ignore', errors],
          env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1', SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' },
        },
      )
    },
    async [Symbol.asyncDispose]() {
      await keeper.close()
      // The kernel takes a moment to end all that was in them.
      for (let attempt = 0; attempt < 20 && groups.some(existsSync); attempt += 1) {
        if (attempt > 0) await sleep(50)
        for (const group of groups) removeFolders(group)
      }
      rmdirSync(layers)
    },
  }
}

/** @param view  the root folder as this process sees it */
export function writeIn(view: string, path: string, text: string, mode = 0o644): void {
  mkdirSync(join(view, path, '..'), { recursive: true })
  writeFileSync(join(view, path), text, { mode })
}

/**
 * The layer lives in memory, in a mount namespace that this process keeps: nothing is left when it ends.
 * @param label  tells in a listing of processes whose it is
 * @param below  the root folder, which is not changed
 */
function keepMounts({ layers, label, below }: { layers: string; label: string; below: string }) {
  const script = `
    mount -t tmpfs tmpfs "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
    mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root" && echo ready && exec cat`
  const child = spawn('unshare', ['-m', 'sh', '-c', script, label, layers, below], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  return {
    pid: child.pid!,
    ready: Promise.race([
      once(child.stdout!, 'data'),
      ended.then(() => {
        throw new Error('The root of the container cannot be mounted')
      }),
    ]),
    async close() {
      child.stdin!.end()
      await ended
    },
  }
}

async function install(view: string): Promise<void> {
  const target = join(view, programFolder)
  const copy = (from: readonly string[], to: string) => {
    mkdirSync(to, { recursive: true })
    execFileSync('cp', ['-R', ...from, to])
  }
  const program = await makeProgram()
  copy(
    ['lib', 'static', 'package.json'].map(each => join(program, each)),
    target,
  )
  copy([process.execPath], target)
  copy(
    ['boot.sh', 'ended.sh'].map(each => join(project, 'systemd', each)),
    join(target, 'systemd'),
  )
  writeIn(view, join(programFolder, 'ringwall'), launcherText(join(programFolder, 'node'), programFolder), 0o755)
  symlinkSync(join(programFolder, 'ringwall'), join(view, 'usr/bin/ringwall'))
  const units = readdirSync(join(project, 'systemd')).filter(each => each.endsWith('.service'))
  copy(
    units.map(each => join(project, 'systemd', each)),
    join(view, 'usr/lib/systemd/system'),
  )
  for (const [file, place] of [
    ['ringwall.sysusers.conf', 'usr/lib/sysusers.d/ringwall.conf'],
    ['ringwall.tmpfiles.conf', 'usr/lib/tmpfiles.d/ringwall.conf'],
    ['50-ringwall.preset', 'usr/lib/systemd/system-preset/50-ringwall.preset'],
  ] as const) {
    execFileSync('cp', [join(project, 'systemd', file), join(view, place)])
  }
  // What a package does when it is installed; systemd makes the directories when it starts.
  execFileSync('chroot', [view, 'systemd-sysusers'], { stdio: 'ignore' })
  execFileSync('chroot', [view, 'systemctl', 'preset', ...units], { stdio: 'ignore' })
}

/** One for each hierarchy: containers in one control group would harm each other. */
function makeControlGroups(name: string): readonly string[] {
  const groups = hierarchies().map(path => join(path, name))
  for (const group of groups) mkdirSync(group, { recursive: true })
  return groups
}

function hierarchies(): readonly string[] {
  const mixed = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd'].filter(path => existsSync(path))
  return mixed.length > 0 ? mixed : ['/sys/fs/cgroup']
}

/** What makers left that were killed: systemd-nspawn ended with them, what it had started did not. */
function removeStale(): void {
  for (const folder of [...hierarchies(), join(cache, 'systemd-layers')].filter(path => existsSync(path))) {
    for (const name of readdirSync(folder)) {
      const match = new RegExp(`^${namePrefix}-(\\d+)-(\\d+)-\\d+$`).exec(name)
      if (match === null || startTime(Number(match[1])) === match[2]) continue
      for (const pid of processesIn(join(folder, name))) killIfThere(pid)
      removeFolders(join(folder, name))
    }
  }
}

/** Pids in a control group and in those below it. */
function processesIn(group: string): readonly number[] {
  const files = globSync('**/cgroup.procs', { cwd: group })
  return files.flatMap(file => readIfThere(join(group, file)).split('\n').filter(Boolean).map(Number))
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Control groups cannot be removed with what is in them but by going through them. */
function removeFolders(group: string): void {
  try {
    for (const each of readdirSync(group, { withFileTypes: true })) {
      if (each.isDirectory()) removeFolders(join(group, each.name))
    }
    rmdirSync(group)
  } catch {
    // A process that has not quite ended holds it, or another run was faster; an empty group costs nothing.
  }
}

/** The container's first process, a child of nspawn's. @throws {Error} while there is none */
function leaderOf(nspawnPid: number): number {
  const children = readFileSync(`/proc/${nspawnPid}/task/${nspawnPid}/children`, 'utf8').trim().split(' ')
  for (const child of children) {
    const status = readFileSync(`/proc/${child}/status`, 'utf8')
    if (/^NSpid:.*\s1$/m.test(status) && readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'systemd')
      return Number(child)
  }
  throw new Error('systemd-nspawn has started no systemd')
}
