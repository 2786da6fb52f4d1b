/** Settings of the agent, each said once: file, environment, flags and documentation follow from here. */
import Type from 'typebox'
import type { Endpoint } from '../common/config/formats.ts'
import { checkNotify, notifySettings } from '../common/config/notify.ts'
import { type ConfigDefinition, formatted, optionalSetting, setting } from '../common/config/setting.ts'
import { logLevels } from '../common/log.ts'
import { mostRescues, type Rescue } from '../rules-compiler/model/policy.ts'
import { notificationKinds, usualNotificationKinds } from '../wire/notification.ts'

/** Where the policy is looked for when neither `policy` nor credentials say where it comes from. */
export const defaultPolicyFile = '/etc/ringwall/policy.yaml'

const settings = {
  policy: optionalSetting(
    formatted('path', {
      description: 'The policy file, YAML or JSON; best replaced by renaming a finished one over it.',
    }),
    {
      argument: 'FILE',
      leftOut: `the daemon that this host has joined leads it; one that has joined none takes ${defaultPolicyFile}`,
      example: defaultPolicyFile,
    },
  ),
  metricsAddress: setting(
    formatted<Endpoint | 'none'>('loopback-endpoint', {
      description: 'Where /metrics and /health are served, loopback only, or none.',
      default: '127.0.0.1:9469',
    }),
    { argument: 'ADDRESS:PORT' },
  ),
  stateDir: optionalSetting(
    formatted('path', { description: 'Where credentials and the last good policy and ruleset are kept.' }),
    {
      argument: 'DIR',
      leftOut: 'with --policy on the command line none are kept; otherwise /var/lib/ringwall',
      example: '/var/lib/ringwall',
    },
  ),
  onStop: setting(
    Type.Enum(['keep', 'flush'], {
      description: 'What becomes of the ruleset when the agent stops.',
      default: 'keep',
    }),
    { argument: 'keep|flush' },
  ),
  guardSeconds: setting(
    Type.Integer({
      description:
        'How long the first policy of a host, and one that may lock out the agent or an administrator, is on trial before it is taken back; 0 for no trials.',
      minimum: 0,
      maximum: 3600,
      default: 60,
    }),
    { argument: 'SECONDS' },
  ),
  rescuePort: setting(
    Type.Unsafe<readonly number[]>(
      Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), {
        description: 'TCP ports by which this host is administered.',
        default: [22],
      }),
    ),
    { argument: 'PORT,…' },
  ),
  rescue: setting(
    Type.Unsafe<readonly Rescue[]>(
      Type.Array(
        formatted('rescue', {
          description:
            'An address or block that administrators come from, and the port of this host that they come to.',
        }),
        {
          description:
            'From where this host is administered, and by which of its TCP ports: what comes from there is accepted whatever the rules say.',
          maxItems: mostRescues,
          default: [],
        },
      ),
    ),
    { argument: 'ADDRESS[/PREFIX]:PORT,…' },
  ),
  logLevel: setting(Type.Enum([...logLevels], { description: 'The least of what is logged.', default: 'info' }), {
    argument: 'LEVEL',
    reloads: true,
  }),
  trafficLog: optionalSetting(
    formatted('path', {
      description:
        'The file that records of dropped, observed and accepted packets are appended to, JSON lines; opened again by SIGHUP.',
    }),
    { argument: 'FILE', leftOut: 'none is written', example: '/var/log/ringwall/traffic.log' },
  ),
  ...notifySettings(notificationKinds, usualNotificationKinds),
}

export const agentConfig: ConfigDefinition<typeof settings> = {
  program: 'agent',
  file: '/etc/ringwall/agent.yaml',
  settings,
  check: checkNotify,
}
