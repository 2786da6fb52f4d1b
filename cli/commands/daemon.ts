/** `ringwall daemon`: the control daemon. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { createLogger, logLevels } from '../../common/log.ts'
import { openServiceManager } from '../../common/sd-notify.ts'
import { type Daemon, type ListenAddress, startDaemon } from '../../daemon/daemon.ts'
import { addressFlag, choiceFlag, numberFlag, parseArguments } from '../arguments.ts'
import { type Command, InputError, UsageError } from '../command.ts'
import { notifyOptions, notifyUsage, readNotifyFlags } from '../notify-flags.ts'

const usage = `usage: ringwall daemon [--data-dir DIR] [--listen ADDRESS:PORT] [--tls-certificate FILE --tls-key FILE]
                       [--agent-listen ADDRESS:PORT] [--agent-url URL] [--requests-per-minute N]
                       [--log-level LEVEL] [--notify-command COMMAND] [--notify-kinds KINDS]
                       [--notify-url URL [--notify-secret-file FILE]]

Keeps accounts, security groups, rules, instances and network interfaces, and tells every agent what it must
enforce. Operators speak to it over REST: with "ringwall sg", "ringwall rule" and so on, or any HTTP client;
/docs shows the API. At the first start it makes a token that may do everything, prints it, and leaves it in
first-token of its data directory, where "ringwall" on the same host finds it.

  --data-dir DIR               state, audit log and first token; /var/lib/ringwall-daemon if left out
  --listen ADDRESS:PORT        where the REST API is served; 127.0.0.1:9480 if left out. Anything but loopback
                               needs a certificate. unix:PATH is a socket, for its owner alone
  --tls-certificate FILE       certificate chain of the REST API, PEM
  --tls-key FILE               its key, PEM
  --agent-listen ADDRESS:PORT  where agents connect, by mutual TLS; 0.0.0.0:9443 if left out
  --agent-url URL              how agents reach it, for their tokens; https://HOSTNAME:PORT if left out
  --requests-per-minute N      of one token; 6000 if left out
  --log-level LEVEL            debug, info, warn or error; info if left out
${notifyUsage(31)}

SIGHUP has it read the certificate and its key again. Logs are JSON, one object a line, on standard output. Agents keep
what they enforce while the daemon is away.
`

const options = {
  'data-dir': { type: 'string', default: '/var/lib/ringwall-daemon' },
  listen: { type: 'string', default: '127.0.0.1:9480' },
  'tls-certificate': { type: 'string' },
  'tls-key': { type: 'string' },
  'agent-listen': { type: 'string', default: '0.0.0.0:9443' },
  'agent-url': { type: 'string' },
  'requests-per-minute': { type: 'string', default: '6000' },
  'log-level': { type: 'string', default: 'info' },
  ...notifyOptions,
} as const

export const command: Command = {
  name: 'daemon',
  summary: 'run the control daemon',
  usage,
  run,
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  if (positionals[0] !== undefined) throw new UsageError(`unexpected argument "${positionals[0]}"`)
  const stopSignal = Promise.race((['SIGTERM', 'SIGINT'] as const).map(signal => once(process, signal)))
  const log = createLogger('ringwall-daemon', choiceFlag('log-level', values['log-level'], logLevels))
  process.once('uncaughtException', error => {
    log.fatal({ error, stack: error.stack }, 'the daemon ends by a fault of its own; agents keep what they enforce')
    process.exit(1)
  })
  let daemon: Daemon | null = null
  const manager = openServiceManager({ log, status: () => daemon?.status() ?? 'starts' })
  const reload = () => void manager.reload(takeCertificate)
  process.on('SIGHUP', reload)
  const readCertificate = () => readTls(values['tls-certificate'], values['tls-key'])
  daemon = await startDaemon({
    dataDir: resolve(values['data-dir']),
    listen: readListen(values.listen),
    tls: await readCertificate(),
    agentListen: addressFlag('agent-listen', values['agent-listen']),
    agentUrl: values['agent-url'] === undefined ? null : readUrl(values['agent-url']),
    hostName: hostname(),
    requestsPerMinute: numberFlag('requests-per-minute', values['requests-per-minute'], [1, 100_000_000]),
    notify: await readNotifyFlags(values),
    log,
  })
  await manager.ready()
  await stopSignal
  await Promise.all([manager.stopping(), daemon.stop()])
  process.off('SIGHUP', reload)
  return 0

  async function takeCertificate(): Promise<void> {
    try {
      const tls = await readCertificate()
      if (tls === null) log.info('nothing to read again: the REST API is served without TLS')
      else {
        daemon?.setTls(tls)
        log.info('the certificate of the REST API was read again')
      }
    } catch (error) {
      log.error({ error }, 'cannot take the certificate of the REST API; the one before stays in use')
    }
  }
}

function readListen(text: string): ListenAddress {
  const [, path] = /^unix:(.+)$/.exec(text) ?? []
  return path === undefined
    ? { kind: 'tcp', ...addressFlag('listen', text, ', or unix:PATH') }
    : { kind: 'unix', path: resolve(path) }
}

async function readTls(certificateFile: string | undefined, keyFile: string | undefined) {
  if (certificateFile === undefined && keyFile === undefined) return null
  if (certificateFile === undefined) throw new UsageError('missing --tls-certificate, which --tls-key needs')
  if (keyFile === undefined) throw new UsageError('missing --tls-key, which --tls-certificate needs')
  const [certificate, key] = await Promise.all([readPem(certificateFile), readPem(keyFile)])
  return { certificate, key }
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new InputError([`Cannot read "${file}": ${(error as Error).message}`])
  }
}

function readUrl(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'https:' && url.pathname === '/' && url.search === '') return url.origin
  throw new UsageError(`--agent-url is "${text}", expected https://HOST:PORT`)
}
