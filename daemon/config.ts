/** Settings of the control daemon, each said once: file, environment, flags and documentation follow from here. */
import Type from 'typebox'
import type { Endpoint, Listen } from '../common/config/formats.ts'
import { checkNotify, notifySettings } from '../common/config/notify.ts'
import {
  type CheckedConfig,
  type ConfigDefinition,
  formatted,
  optionalSetting,
  setting,
} from '../common/config/setting.ts'
import { logLevels } from '../common/log.ts'
import { isLoopback } from '../common/loopback.ts'
import { notificationKinds, usualNotificationKinds } from '../wire/notification.ts'
import { defaultDataDir } from './data-dir.ts'
import { certificateDays, renewalGraceDays } from './pki/lifetimes.ts'
import { defaultRegionId } from './ram/resource-names.ts'

const settings = {
  dataDir: setting(formatted('path', { description: 'State, audit log and first token.', default: defaultDataDir }), {
    argument: 'DIR',
  }),
  listen: setting(
    formatted<Listen>('listen', {
      description:
        'Where the REST API is served. Anything but loopback needs a certificate. unix:PATH is a socket, for its owner alone.',
      default: '127.0.0.1:9480',
    }),
    { argument: 'ADDRESS:PORT' },
  ),
  tlsCertificate: optionalSetting(
    formatted('path', { description: 'File with the certificate chain of the REST API, PEM; read again by SIGHUP.' }),
    { argument: 'FILE', leftOut: 'the REST API is served without TLS', example: '/etc/ringwall/tls.crt' },
  ),
  tlsKey: optionalSetting(
    formatted('path', { description: 'File with the key of that certificate, PEM; read again by SIGHUP.' }),
    {
      argument: 'FILE',
      leftOut: 'the REST API is served without TLS',
      example: '/etc/ringwall/tls.key',
      secret: 'names-file',
    },
  ),
  agentListen: setting(
    formatted<Endpoint>('endpoint', {
      description: 'Where agents connect, by mutual TLS.',
      default: '0.0.0.0:9443',
    }),
    { argument: 'ADDRESS:PORT' },
  ),
  agentUrl: optionalSetting(formatted('https-url', { description: 'How agents reach it, for their tokens.' }), {
    argument: 'URL',
    leftOut: 'https:// with the name of this host and the port of agentListen',
    example: 'https://ringwall.example:9443',
  }),
  agentCertificateDays: setting(
    Type.Integer({
      description: 'How many days the certificate of an agent is good for; agents renew it after half of them.',
      minimum: 1,
      maximum: certificateDays.most,
      default: certificateDays.usual,
    }),
    { argument: 'DAYS' },
  ),
  agentRenewalGraceDays: setting(
    Type.Integer({
      description:
        'For how many days after its end a certificate that was not revoked may still be renewed, and nothing else; 0 for none.',
      minimum: 0,
      maximum: renewalGraceDays.most,
      default: renewalGraceDays.usual,
    }),
    { argument: 'DAYS' },
  ),
  region: setting(
    formatted('region', {
      description: 'The region in names of resources, by which policies speak of them, and what the RPC API tells.',
      default: defaultRegionId,
    }),
    { argument: 'NAME' },
  ),
  requestsPerMinute: setting(
    Type.Integer({
      description: 'How many requests a token may make each minute.',
      minimum: 1,
      maximum: 100_000_000,
      default: 6000,
    }),
    { argument: 'N' },
  ),
  logLevel: setting(Type.Enum([...logLevels], { description: 'The least of what is logged.', default: 'info' }), {
    argument: 'LEVEL',
    reloads: true,
  }),
  ...notifySettings(notificationKinds, usualNotificationKinds),
}

export const daemonConfig: ConfigDefinition<typeof settings> = {
  program: 'daemon',
  file: '/etc/ringwall/daemon.yaml',
  settings,
  check: config => [...checkTls(config), ...checkNotify(config)],
}

function checkTls({ values, nameOf }: CheckedConfig<typeof settings>): readonly string[] {
  const { tlsCertificate, tlsKey, listen } = values
  if (tlsCertificate === null && tlsKey !== null) return [`missing tlsCertificate, which ${nameOf('tlsKey')} needs`]
  if (tlsKey === null && tlsCertificate !== null) return [`missing tlsKey, which ${nameOf('tlsCertificate')} needs`]
  if (tlsCertificate !== null || listen.kind === 'unix' || isLoopback(listen.address)) return []
  const given = listen.address.includes(':') ? `[${listen.address}]:${listen.port}` : `${listen.address}:${listen.port}`
  const expected = 'a loopback address, unix:PATH, or tlsCertificate and tlsKey as well'
  return [`${nameOf('listen')} is "${given}", expected ${expected}`]
}
