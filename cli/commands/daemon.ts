/** `ringwall daemon`: the control daemon. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { usageOf } from '../../common/config/describe.ts'
import { openNotify } from '../../common/config/notify.ts'
import { createLogger } from '../../common/log.ts'
import { openServiceManager } from '../../common/sd-notify.ts'
import { daemonConfig } from '../../daemon/config.ts'
import { type Daemon, startDaemon } from '../../daemon/daemon.ts'
import { NewerStoreError } from '../../daemon/store/store.ts'
import { type Command, InputError, type Io } from '../command.ts'
import { faultsOf, loadServiceConfig, logConfig, reloadConfig } from '../service-config.ts'
import { assertPair } from '../tls-pair.ts'

const usage = `usage: ringwall daemon [run] [flags]
       ringwall daemon check [flags]    what holds, and whether it would start; changes nothing

Keeps accounts, security groups, rules, instances and network interfaces, and tells every agent what it must
enforce. Operators speak to it over REST: with "ringwall sg", "ringwall rule" and so on, or any HTTP client;
/docs shows the API. At the first start it makes a token that may do everything, prints it, and leaves it in
first-token of its data directory, where "ringwall" on the same host finds it.

${usageOf(daemonConfig)}

SIGHUP has it read the certificate and its key again, and the log level. Logs are JSON, one object a line, on standard
output. Agents keep what they enforce while the daemon is away.
`

export const command: Command = {
  name: 'daemon',
  summary: 'run the control daemon',
  usage,
  run: dispatch,
}

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  if (args[0] !== 'check') return run(args[0] === 'run' ? args.slice(1) : args)
  const { checkDaemon } = await import('../check/daemon.ts')
  return checkDaemon(args.slice(1), io)
}

async function run(args: readonly string[]): Promise<number> {
  const config = await loadServiceConfig(daemonConfig, args)
  const stopSignal = Promise.race((['SIGTERM', 'SIGINT'] as const).map(signal => once(process, signal)))
  const { values } = config
  const { notify, faults } = await openNotify(values)
  if (faults.length > 0) throw faultsOf(daemonConfig, faults)
  const { dataDir, listen, agentListen, agentUrl, region, requestsPerMinute } = values
  const { agentCertificateDays, agentRenewalGraceDays } = values
  const readCertificate = () => readTls(values.tlsCertificate, values.tlsKey)
  const tls = await readCertificate()
  const log = createLogger('ringwall-daemon', values.logLevel)
  logConfig(log, daemonConfig, config)
  process.once('uncaughtException', error => {
    log.fatal({ error, stack: error.stack }, 'the daemon ends by a fault of its own; agents keep what they enforce')
    process.exit(1)
  })
  let daemon: Daemon | null = null
  const manager = openServiceManager({ log, status: () => daemon?.status() ?? 'starts' })
  const readAgain = async () => {
    await reloadConfig({ log, definition: daemonConfig, args, running: config })
    await takeCertificate()
  }
  const reload = () => void manager.reload(readAgain)
  process.on('SIGHUP', reload)
  daemon = await startDaemon({
    dataDir,
    listen,
    tls,
    agentListen,
    agentUrl,
    hostName: hostname(),
    requestsPerMinute,
    agentCertificateDays,
    agentRenewalGraceDays,
    regionId: region,
    notify,
    log,
  }).catch(error => {
    throw error instanceof NewerStoreError ? new InputError([error.message]) : error
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

async function readTls(certificateFile: string | null, keyFile: string | null) {
  if (certificateFile === null || keyFile === null) return null
  const [certificate, key] = await Promise.all([readPem(certificateFile), readPem(keyFile)])
  try {
    assertPair(certificate, key)
  } catch (error) {
    throw new InputError([`Cannot serve with "${certificateFile}" and "${keyFile}": ${(error as Error).message}`])
  }
  return { certificate, key }
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new InputError([`Cannot read "${file}": ${(error as Error).message}`])
  }
}
