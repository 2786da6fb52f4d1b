/**
 * FastNetMon Community from Debian, to compare with: fetched as packages and unpacked beside the modules of npm, never
 * installed. It watches a device by AF_PACKET, and calls a script for an address that is over a threshold.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { Namespace } from '../lab/netns.ts'
import { debianProgram } from '../test/support/debian-programs.ts'

const execute = promisify(execFile)

const unpack = join(import.meta.dirname, '../scripts/unpack-debian.sh')

export interface Thresholds {
  /** In 10^6 bits a second. */
  readonly bps: number
  readonly pps: number
}

export class FastNetMon implements AsyncDisposable {
  readonly #folder: string
  readonly #end: () => Promise<void>

  private constructor(folder: string, end: () => Promise<void>) {
    this.#folder = folder
    this.#end = end
  }

  /** @throws {Error} where it cannot be fetched, or does not run here */
  static async start(
    host: Namespace,
    {
      device,
      network,
      thresholds,
    }: { readonly device: string; readonly network: string; readonly thresholds: Thresholds },
  ): Promise<FastNetMon> {
    await execute('sh', [unpack, 'fastnetmon'])
    const [program, ...args] = debianProgram('fastnetmon', 'usr/sbin/fastnetmon').command as [string, ...string[]]
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-fastnetmon-'))
    const file = (name: string) => join(folder, name)
    await writeFile(file('networks'), `${network}\n`)
    await writeFile(file('whitelist'), '')
    await writeFile(file('notified'), '')
    const script = `#!/bin/sh\necho "$(date +%s.%N) $1 $4" >> ${file('notified')}\ncat > /dev/null\n`
    await writeFile(file('notify'), script, { mode: 0o755 })
    await writeFile(file('conf'), configuration({ device, thresholds, file }))
    const child = host.spawn(program, [...args, '--configuration_file', file('conf'), '--log_to_console'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = once(child, 'close')
    const log: string[] = []
    const end = async () => {
      child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    }
    const { promise: listening, resolve: hear } = Promise.withResolvers<void>()
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', line => {
        log.push(line)
        if (line.includes('Start AF_PACKET worker process')) hear()
      })
    }
    const isListening = await Promise.race([listening.then(() => true), ended.then(() => false)])
    if (isListening) return new FastNetMon(folder, end)
    await end()
    throw new Error(`FastNetMon has ended: ${log.slice(-5).join('; ')}`)
  }

  /** When its script was called for the address, on performance.now()'s clock. @throws {Error} if it is not in time */
  async banned(address: string, timeoutMs: number): Promise<number> {
    const file = join(this.#folder, 'notified')
    const signal = AbortSignal.timeout(timeoutMs)
    const watcher = watch(file, { signal })
    try {
      for (;;) {
        const line = (await readFile(file, 'utf8')).split('\n').find(each => each.endsWith(` ${address} ban`))
        if (line !== undefined) return Number(line.split(' ')[0]) * 1000 - performance.timeOrigin
        await once(watcher, 'change', { signal })
      }
    } catch (cause) {
      throw new Error(`FastNetMon did not call its script for "${address}" within ${timeoutMs} ms`, { cause })
    } finally {
      watcher.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end()
  }
}

/** As Debian ships it, but for thresholds, the device, and what would leave the namespace or write elsewhere. */
function configuration(options: {
  readonly device: string
  readonly thresholds: Thresholds
  readonly file: (name: string) => string
}): string {
  const { device, thresholds, file } = options
  const settings = {
    logging_level: 'info',
    disable_usage_report: 'on',
    enable_ban: 'on',
    process_incoming_traffic: 'on',
    process_outgoing_traffic: 'on',
    enable_connection_tracking: 'on',
    ban_for_pps: 'on',
    ban_for_bandwidth: 'on',
    ban_for_flows: 'off',
    threshold_pps: thresholds.pps,
    threshold_mbps: thresholds.bps,
    ban_time: 1900,
    check_period: 1,
    average_calculation_time: 5,
    speed_calculation_delay: 1,
    mirror_afpacket: 'on',
    interfaces: device,
    networks_list_path: file('networks'),
    white_list_path: file('whitelist'),
    notify_script_path: file('notify'),
    monitor_local_ip_addresses: 'off',
    pid_path: file('pid'),
    cli_stats_file_path: file('stats'),
    cli_stats_ipv6_file_path: file('stats6'),
    enable_api: 'off',
    prometheus: 'off',
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}
