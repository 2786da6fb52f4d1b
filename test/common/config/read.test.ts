/** Settings from flags, variables, file and defaults: which goes before which, and what is said of faults. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { agentConfig } from '../../../agent/config.ts'
import { maxFileBytes } from '../../../common/config/file.ts'
import { readConfig, type Sources } from '../../../common/config/read.ts'
import { daemonConfig } from '../../../daemon/config.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-config-'))
after(() => rm(folder, { recursive: true }))
let files = 0

/** A file with that text where the program looks for one; none where it is null. */
async function fileOf(text: string | Uint8Array | null): Promise<string> {
  files += 1
  const path = join(folder, `${files}.yaml`)
  if (text !== null) await writeFile(path, text)
  return path
}

interface Given {
  readonly file?: string | Uint8Array
  readonly environment?: Sources['environment']
  readonly flags?: Readonly<Record<string, string>>
}

async function readAgent({ file, environment = {}, flags = {} }: Given) {
  const path = await fileOf(file ?? null)
  const sources = { environment, flags: new Map(Object.entries(flags)), folder: '/srv' }
  const reading = await readConfig({ ...agentConfig, file: path }, sources)
  const faults = reading.faults.map(fault => fault.replaceAll(path, 'FILE'))
  return { ...reading, faults, path }
}

async function readDaemon({ file, environment = {}, flags = {} }: Given) {
  const path = await fileOf(file ?? null)
  const sources = { environment, flags: new Map(Object.entries(flags)), folder: '/srv' }
  const { config, faults } = await readConfig({ ...daemonConfig, file: path }, sources)
  return { config, faults: faults.map(fault => fault.replaceAll(path, 'FILE')) }
}

describe('a flag goes before a variable, a variable before the file, the file before the default', () => {
  const flags = { logLevel: 'debug' }
  const environment = { RINGWALL_AGENT_LOG_LEVEL: 'warn' }
  const file = '# what\nlogLevel: error\n'
  const rows: readonly (readonly [name: string, Given, level: string, origin: string])[] = [
    ['all', { flags, environment, file }, 'debug', 'flag --log-level'],
    ['variable and file', { environment, file }, 'warn', 'environment RINGWALL_AGENT_LOG_LEVEL'],
    ['flag and file', { flags, file }, 'debug', 'flag --log-level'],
    ['file', { file }, 'error', 'file FILE:2 logLevel'],
    ['an empty variable', { environment: { RINGWALL_AGENT_LOG_LEVEL: '' }, file }, 'error', 'file FILE:2 logLevel'],
    ['nothing', {}, 'info', 'default default'],
    ['a file of comments', { file: '#logLevel: error\n' }, 'info', 'default default'],
    ['an empty file', { file: '' }, 'info', 'default default'],
    ['JSON', { file: '{\n\n"logLevel": "warn"}' }, 'warn', 'file FILE:3 logLevel'],
    ['JSON after a byte order mark', { file: '\uFEFF{\n"logLevel": "warn"}' }, 'warn', 'file FILE:2 logLevel'],
  ]
  for (const [name, given, level, origin] of rows) {
    test(name, async () => {
      const { config, faults, path } = await readAgent(given)
      assert.deepEqual(faults, [])
      const { kind, name: source } = config!.settings.get('logLevel')!.origin
      assert.deepEqual([config!.values.logLevel, `${kind} ${source.replace(path, 'FILE')}`], [level, origin])
      assert.equal(config!.file, given.file === undefined ? null : path)
    })
  }

  test('each setting by itself', async () => {
    const { config } = await readAgent({
      flags: { rescuePort: '2222, 22' },
      environment: { RINGWALL_AGENT_ON_STOP: 'flush', RINGWALL_AGENT_POLICY: 'policy.json' },
      file: 'rescuePort: [1]\nstateDir: state\nmetricsAddress: "[::1]:1"\n',
    })
    const { rescuePort, onStop, policy, stateDir, metricsAddress, guardSeconds } = config!.values
    assert.deepEqual(
      { rescuePort, onStop, policy, stateDir, metricsAddress, guardSeconds },
      {
        rescuePort: [2222, 22],
        onStop: 'flush',
        policy: '/srv/policy.json',
        stateDir: join(folder, 'state'),
        metricsAddress: { address: '::1', port: 1 },
        guardSeconds: agentConfig.settings.guardSeconds.schema.default,
      },
    )
  })
})

describe('which file', () => {
  test('by flag, before the variable', async () => {
    const named = await fileOf('logLevel: debug\n')
    const environment = { RINGWALL_AGENT_CONFIG: '/nowhere' }
    const { config } = await readAgent({ file: 'logLevel: warn\n', environment, flags: { config: named } })
    assert.deepEqual([config!.file, config!.values.logLevel], [named, 'debug'])
  })

  for (const [name, given] of [
    ['flag', { flags: { config: 'none' } }],
    ['variable', { environment: { RINGWALL_AGENT_CONFIG: 'none' } }],
  ] as const) {
    test(`none, by ${name}`, async () => {
      const { config } = await readAgent({ file: 'logLevel: nonsense\n', ...given })
      assert.deepEqual([config!.file, config!.values.logLevel], [null, 'info'])
    })
  }

  test('one that is asked for must be there', async () => {
    const byFlag = await readAgent({ flags: { config: 'a.yaml' } })
    assert.deepEqual(byFlag.faults, ['--config is "a.yaml", expected a file that is there, or none'])
    const byVariable = await readAgent({ environment: { RINGWALL_AGENT_CONFIG: '/nowhere/a.yaml' } })
    assert.deepEqual(byVariable.faults, [
      'RINGWALL_AGENT_CONFIG is "/nowhere/a.yaml", expected a file that is there, or none',
    ])
  })
})

const levels = '"debug" or "info" or "warn" or "error"'
const loopback = 'a loopback address and a port such as 127.0.0.1:9469 or [::1]:9469, or none'
const rescueFault = (text: string) =>
  `--rescue holds "${text}", expected ADDRESS:PORT or ADDRESS/PREFIX:PORT such as 198.18.0.0/24:22, IPv6 in brackets: [2001:db8::/64]:22`
const port = 'a whole number from 1 to 65535'

describe('faults of the agent', () => {
  const rows: readonly (readonly [name: string, Given, faults: readonly string[]])[] = [
    [
      'every source at once, the file also where a flag goes before it',
      {
        flags: { logLevel: 'quiet', onStop: 'keep' },
        environment: { RINGWALL_AGENT_LOG_LEVEL: 'loud' },
        file: 'logLevel: 3\nonStop: stay\n',
      },
      [
        `--log-level is "quiet", expected ${levels}`,
        `RINGWALL_AGENT_LOG_LEVEL is "loud", expected ${levels}`,
        `FILE:1 logLevel is the number 3, expected ${levels}`,
        'FILE:2 onStop is "stay", expected "keep" or "flush"',
      ],
    ],
    [
      'an address others can reach',
      { file: '\n\nmetricsAddress: 0.0.0.0:9469\n' },
      [`FILE:3 metricsAddress is "0.0.0.0:9469", expected ${loopback}`],
    ],
    ...['localhost:1', '127.0.0.1', '127.0.0.1:65536', '::1:9469', '[127.0.0.1]:1', '127.0.0.1:-1', ''].map(
      text =>
        [
          `no address: "${text}"`,
          { flags: { metricsAddress: text } },
          [`--metrics-address is "${text}", expected ${loopback}`],
        ] as const,
    ),
    ...['198.18.0.9', '198.18.0.9:0', '198.18.0.9/33:22', '2001:db8::/64:22', '[198.18.0.9]:22', 'bastion:22'].map(
      text => [`no rescue address: "${text}"`, { flags: { rescue: text } }, [rescueFault(text)]] as const,
    ),
    [
      'a number as text in the file, and one out of bounds',
      { file: 'guardSeconds: "60"\n', flags: { guardSeconds: '3601' } },
      [
        '--guard-seconds is "3601", expected a whole number from 0 to 3600',
        'FILE:1 guardSeconds is the text "60", expected a whole number from 0 to 3600',
      ],
    ],
    ...['', '1e2', '0x10', '1.5', '-1', ' 5', 'sixty'].map(
      text =>
        [
          `no number: "${text}"`,
          { flags: { guardSeconds: text } },
          [`--guard-seconds is "${text}", expected a whole number from 0 to 3600`],
        ] as const,
    ),
    [
      'items of lists',
      { file: 'rescuePort:\n  - 22\n  - 0\n  - "23"\n', flags: { rescuePort: '22,x,65536' } },
      [
        `--rescue-port holds "x", expected ${port}`,
        `--rescue-port holds "65536", expected ${port}`,
        `FILE:3 rescuePort holds "0", expected ${port}`,
        `FILE:4 rescuePort holds the text "23", expected ${port}`,
      ],
    ],
    ['no list', { file: 'rescuePort: 22\n' }, ['FILE:1 rescuePort is the number 22, expected a list']],
    ['a key without a value', { file: 'policy:\n' }, ['FILE:1 policy is empty, expected a path']],
    [
      'keys that are unknown',
      { file: 'metricAddress: 1\nmetrics-address: 1\n__proto__: 1\nconfig: x\nbanana: {}\n' },
      [
        'FILE:1 metricAddress is no setting; is "metricsAddress" meant?',
        'FILE:2 metrics-address is no setting; is "metricsAddress" meant?',
        'FILE:3 __proto__ is no setting: docs/configuration.md has them',
        'FILE:4 config is no setting: docs/configuration.md has them',
        'FILE:5 banana is no setting: docs/configuration.md has them',
      ],
    ],
    [
      'a command',
      { file: 'notifyCommand: [hook, 1]\n', flags: { notifyCommand: 'hook' } },
      [
        '--notify-command is "hook", expected the path of a program from / on, or ["PATH", "ARGUMENT", …]',
        'FILE:1 notifyCommand is a list of 2, expected the path of a program from / on, or ["PATH", "ARGUMENT", …]',
      ],
    ],
    [
      'a webhook, which may be a secret',
      { file: 'notifyUrl: https://user:password@hooks.example/\n', flags: { notifyUrl: 'hooks/secret' } },
      [
        '--notify-url is not sound, expected https://HOST/PATH or http://HOST/PATH, without user and password',
        'FILE:1 notifyUrl is not sound, expected https://HOST/PATH or http://HOST/PATH, without user and password',
      ],
    ],
    [
      'kinds that are unknown',
      { environment: { RINGWALL_AGENT_NOTIFY_KINDS: 'ddos.begin' }, flags: { notifyCommand: '/bin/true' } },
      [
        'RINGWALL_AGENT_NOTIFY_KINDS holds "ddos.begin", expected "ddos.start" or "ddos.types" or "ddos.peak" or "ddos.cleaning" or "ddos.uncleaned" or "ddos.black-hole" or "ddos.lift" or "ddos.thresholds" or "ddos.end"',
      ],
    ],
    [
      'what needs another setting',
      { file: 'notifySecretFile: /etc/secret\nnotifyKinds: [ddos.start]\n' },
      [
        'missing notifyUrl, which FILE:1 notifySecretFile needs',
        'missing notifyCommand or notifyUrl, one of which FILE:2 notifyKinds needs',
      ],
    ],
    ['a line break in a value', { flags: { policy: 'a\nb' } }, ['--policy is "a\\nb", expected a path']],
    ['torn YAML', { file: 'logLevel: [debug\n' }, [/^FILE:\d+:\d+ cannot read YAML at .*: expected /]] as never,
    [
      'torn JSON',
      { file: '{"logLevel": "debug"' },
      [/^FILE:1:21 cannot read JSON at "end of file": expected /],
    ] as never,
    [
      'a key twice',
      { file: 'logLevel: debug\nlogLevel: info\n' },
      ['FILE:2:1 cannot read YAML at "logLevel: info": expected each key once in a mapping'],
    ],
    [
      'a key twice in JSON',
      { file: '{"logLevel": "debug",\n"logLevel": "info"}' },
      ['FILE:2:1 cannot read a second "logLevel": expected each key once in an object'],
    ],
    ['a list', { file: '- logLevel\n' }, ['FILE holds no settings: expected lines such as "logLevel: info"']],
    ['a word', { file: 'debug' }, ['FILE holds no settings: expected lines such as "logLevel: info"']],
    ['no UTF-8', { file: Uint8Array.of(0x61, 0xff, 0xfe) }, ['FILE cannot be read: it is not UTF-8 text']],
    [
      '10 MB',
      { file: 'a: b\n'.repeat(2_000_000) },
      [`FILE cannot be read: it has 10000000 bytes, expected ${maxFileBytes} at most`],
    ],
  ]
  for (const [name, given, expected] of rows) {
    test(name, async () => {
      const { config, faults } = await readAgent(given)
      assert.equal(config, null)
      assert.equal(faults.length, expected.length, faults.join('\n'))
      for (const [index, fault] of faults.entries()) {
        const told: string | RegExp = expected[index]!
        if (typeof told === 'string') assert.equal(fault, told)
        else assert.match(fault, told)
      }
    })
  }

  test('what is sound is known all the same, and what is faulty is not', async () => {
    const { settings } = await readAgent({ file: 'logLevel: loud\nonStop: flush\n' })
    assert.equal(settings.get('onStop')?.value, 'flush')
    assert.equal(settings.has('logLevel'), false)
  })
})

describe('faults of the daemon', () => {
  const rows: readonly (readonly [name: string, Given, faults: readonly string[]])[] = [
    [
      'half a pair',
      { environment: { RINGWALL_DAEMON_TLS_KEY: 'key.pem' } },
      ['missing tlsCertificate, which RINGWALL_DAEMON_TLS_KEY needs'],
    ],
    ['the other half', { flags: { tlsCertificate: 'c.pem' } }, ['missing tlsKey, which --tls-certificate needs']],
    [
      'all addresses without a certificate',
      { file: 'listen: 0.0.0.0:9480\n' },
      ['FILE:1 listen is "0.0.0.0:9480", expected a loopback address, unix:PATH, or tlsCertificate and tlsKey as well'],
    ],
    [
      'no URL',
      { file: 'agentUrl: http://ringwall.example\n' },
      ['FILE:1 agentUrl is "http://ringwall.example", expected https://HOST:PORT'],
    ],
    [
      'a URL with a path',
      { flags: { agentUrl: 'https://ringwall.example/x' } },
      ['--agent-url is "https://ringwall.example/x", expected https://HOST:PORT'],
    ],
  ]
  for (const [name, given, expected] of rows) {
    test(name, async () => assert.deepEqual((await readDaemon(given)).faults, expected))
  }

  test('a socket is relative to where it was named, and needs no certificate', async () => {
    const { config } = await readDaemon({ file: 'listen: unix:api.sock\n' })
    assert.deepEqual(config!.values.listen, { kind: 'unix', path: join(folder, 'api.sock') })
    const byFlag = await readDaemon({ flags: { listen: 'unix:api.sock' } })
    assert.deepEqual(byFlag.config!.values.listen, { kind: 'unix', path: '/srv/api.sock' })
  })
})

describe('what is no file', () => {
  const given = (path: string) => readAgent({ flags: { config: path } })

  test('a directory', async () => {
    const path = join(folder, 'directory')
    await mkdir(path)
    assert.deepEqual((await given(path)).faults, [`${path} cannot be read: it is a directory`])
  })

  test('a pipe that nobody writes to, and a device that never ends', async () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    assert.deepEqual((await given(path)).faults, [`${path} cannot be read: expected a plain file`])
    assert.deepEqual((await given('/dev/zero')).faults, ['/dev/zero cannot be read: expected a plain file'])
  })

  test('one below a file', async () => {
    const path = join(await fileOf(''), 'agent.yaml')
    const [fault] = (await given(path)).faults
    assert.equal(fault, `${path} cannot be read: what should be a directory on the way to it is a file`)
  })

  test('one that may not be read', {
    skip: process.getuid!() !== 0 && 'needs root, to become somebody else',
  }, async () => {
    const path = await fileOf('logLevel: debug\n')
    await chmod(path, 0o600)
    process.seteuid!(65_534)
    try {
      assert.deepEqual((await given(path)).faults, [`${path} cannot be read: permission denied`])
    } finally {
      process.seteuid!(0)
    }
  })
})

test('variables that are no setting are told, with what is meant; those of others are not', async () => {
  const { unknownVariables, config } = await readAgent({
    environment: {
      RINGWALL_AGENT_LOG_LEVLE: 'x',
      RINGWALL_AGENT_BANANA: 'x',
      RINGWALL_AGENT_CONFIG: 'none',
      RINGWALL_DAEMON_LISTEN: 'x',
      RINGWALL_URL: 'x',
    },
  })
  assert.ok(config !== null)
  assert.deepEqual(unknownVariables, [
    { name: 'RINGWALL_AGENT_BANANA', meant: null },
    { name: 'RINGWALL_AGENT_LOG_LEVLE', meant: 'RINGWALL_AGENT_LOG_LEVEL' },
  ])
})
