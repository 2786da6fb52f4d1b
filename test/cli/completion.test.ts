import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, suite, test } from 'node:test'
import { listedCommands } from '../../cli/command-list.ts'
import { candidatesFor } from '../../cli/operate/complete.ts'
import type { Environment } from '../../cli/operate/complete-names.ts'
import { runRingwall } from '../support/launcher.ts'
import { runRingwallHere, startOperator } from '../support/operator.ts'
import { ringwallCommand } from '../support/ringwall.ts'

const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())
await operator.do('sg', 'create', 'sg-web', '--name', 'web')
await operator.do('sg', 'create', 'sg-app', '--name', 'app')
await operator.do('instance', 'register', 'i-web1', '--name', 'a name with spaces')
await operator.do('ram', 'user', 'create', 'bob')
await operator.do('prefix-list', 'create', 'pl-office', '--name', '事務所', '--add', '203.0.113.0/24')
await operator.do('rule', 'add', 'sg-web', 'ingress', 'allow', 'https', 'from', 'any-ipv4')
const [, ruleId = ''] = /^(sgr-\S+)/m.exec(await operator.do('rule', 'list', 'sg-web')) ?? []
await operator.do('context', 'add', 'prod', '--url', operator.url)

/** The daemon has its time: that a shell does not wait for it is tried below. */
const candidatesOf = (words: readonly string[], env: Environment = process.env) => candidatesFor(words, env, 60_000)

const thresholdFlags = [
  ...['--bps', '--pps', '--type', '--auto'],
  ...['--dry-run', '--wait', '--if-revision', '--context', '--url', '--token', '--json', '--help'],
]

suite('what can stand at the cursor', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['com', ['compile', 'completion']],
    ['rule ', ['list', 'add', 'modify', 'remove']],
    ['rule a', ['add']],
    ['agent re', ['revoke']],
    ['agent l', ['list', 'leave']],
    ['rule add ', ['sg-app', 'app', 'sg-web', 'web']],
    ['rule add sg-', ['sg-app', 'sg-web']],
    ['rule add sg-web ', ['ingress', 'egress']],
    ['rule add sg-web ingress ', ['allow', 'accept', 'deny', 'drop']],
    ['rule add sg-web ingress allow tcp/443 ', ['from', 'to']],
    ['rule add sg-web ingress allow h', ['http', 'https']],
    ['rule add sg-web ingress allow icmp,ss', ['icmp,ssh']],
    ['rule add sg-web ingress allow t', ['tcp/', 'telnet']],
    [
      'rule add sg-web ingress allow ssh from ',
      [...['any', 'any-ipv4', 'any-ipv6'], ...['sg-app', 'app', 'sg-web', 'web', 'pl-office', '事務所']],
    ],
    ['rule add sg-web ingress allow ssh from sg-app,pl', ['sg-app,pl-office']],
    ['rule add sg-web ingress allow ssh from sg-app w', ['web']],
    ['rule modify sg-web ', [ruleId]],
    ['rule modify web s', [ruleId]],
    ['rule remove sg-web sgr-', [ruleId]],
    ['rule modify sg-app ', []],
    ['rule add sg-web --dry-run ', ['ingress', 'egress']],
    ['rule add sg-web --wait 5 ', ['ingress', 'egress']],
    ['rule add sg-web --priority 5 e', ['egress']],
    ['rule add sg-web --pr', ['--priority']],
    ['rule add sg-web --description ', []],
    ['sg list --sort -', ['-name', '-made']],
    ['sg create --type ', ['basic', 'advanced']],
    ['sg list --account 1', ['1000000000000000']],
    ['sg list --account=1', ['--account=1000000000000000']],
    ['sg create --type=b', ['--type=basic']],
    ['eni register --group web,sg-', ['web,sg-app', 'web,sg-web']],
    ['sg show --context ', ['prod']],
    ['context use p', ['prod']],
    ['instance show ', ['i-web1']],
    ['health --group w', ['web']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['to', ['top', 'token']],
    ['ddos ', ['status', 'events', 'show', 'threshold', 'cancel', 'resume', 'blackhole', 'lift']],
    ['ddos status --l', ['--local']],
    ['ddos threshold ', ['i-web1']],
    ['ddos threshold i-web1 --', thresholdFlags],
    ['ddos events --instance i', ['i-web1']],
    ['ddos events --type u', ['udp']],
    ['ddos blackhole --for 10m ', ['i-web1']],
    ['ddos show ', []],
    ['top i-web1 ', ['i-web1']],
    ['top --', ['--once', '--local', '--context', '--url', '--token', '--json', '--help']],
    ['settings set --traffic-scope ', ['internet', 'all']],
    ['settings set --black', ['--black-hole-threshold', '--black-hole-time']],
    ['ram ', ['user', 'group', 'policy', 'role', 'key', 'simulate']],
    ['ram po', ['policy']],
    ['ram user a', ['attach']],
    ['ram user show ', ['bob']],
    ['ram simulate b', ['bob']],
    ['ram xyzzy ', []],
    ['help anal', ['analyze']],
    ['help rule ', ['list', 'add', 'modify', 'remove']],
    ['help rule add ', []],
    ['help ram ', ['user', 'group', 'policy', 'role', 'key', 'simulate']],
    ['help ram key ', ['list', 'create', 'enable', 'disable', 'delete']],
    ['help limits ', []],
    ['help xyzzy ', []],
    ['agent check --pol', ['--policy']],
    ['agent join --to', ['--token']],
    ['agent --on-stop ', ['keep', 'flush']],
    ['agent xyzzy ', []],
    ['agent list --sta', ['--state']],
    ['daemon ', ['run', 'check']],
    ['daemon --tls-', ['--tls-certificate', '--tls-key']],
    ['lab ', ['status', 'env', 'shell']],
    ['lab --', ['--once', '--hosts', '--lab', '--help']],
    ['panic --u', ['--undo']],
    ['explain --dir', ['--direction']],
    ['explain policy.yaml --direction ', ['ingress', 'egress']],
    ['compile --format=', ['--format=json', '--format=text']],
    ['analyze policy.yaml --fail-on m', ['medium']],
    ['sg xyzzy ', []],
    ['xyzzy ', []],
    ['compile ', []],
    ['constructor ', []],
  ]
  for (const [line, expected] of rows) {
    test(`ringwall ${line}`, async () => {
      assert.deepEqual(await candidatesOf(line.split(' ')), expected)
    })
  }

  test('bash has a flag and its value as three words', async () => {
    for (const [words, expected] of [
      [
        ['sg', 'create', '--type', '='],
        ['basic', 'advanced'],
      ],
      [['sg', 'create', '--type', '=', 'a'], ['advanced']],
      [['rule', 'add', '--priority', '=', '5', 'sg-w'], ['sg-web']],
    ] as const) {
      assert.deepEqual(await candidatesOf(words), expected)
    }
  })

  test('every flag in the help of a command that has no definition but that', async () => {
    for (const [name, { load }] of listedCommands) {
      const { usage, ...command } = (await load()).command
      if ('noun' in command || 'nouns' in command || name === 'completion') continue
      const offered = await candidatesOf([name, '--'])
      const shown = [...usage.matchAll(/^ +(--[a-z-]+)/gm)].map(([, flag = '']) => flag)
      assert.deepEqual(
        shown.filter(flag => !offered.includes(flag)),
        [],
        name,
      )
    }
  })

  test('every command', async () => {
    const { stdout } = await runRingwallHere(['completion', 'words', '--', ''])
    for (const name of ['help', 'sg', 'rule', 'daemon', 'agent', 'lab'])
      assert.ok(stdout.split('\n').includes(name), name)
  })
})

test('more rules than come in one answer', async () => {
  const rules = Array.from({ length: 510 }, (_, index) => ({
    direction: 'ingress',
    ipProtocol: 'tcp',
    portRange: `${index + 1}/${index + 1}`,
    sourceCidrIp: '198.18.0.0/15',
  }))
  const file = join(operator.folder, 'rules.json')
  await writeFile(file, JSON.stringify(rules))
  await operator.do('settings', 'set', '--limit', 'rulesPerGroup=600')
  await operator.do('sg', 'create', 'sg-many')
  await operator.do('sg', 'import', 'sg-many', file)
  assert.equal(new Set(await candidatesOf(['rule', 'modify', 'sg-many', ''])).size, 510)
})

suite('a daemon that does not help', () => {
  const ask = (url: string, ...words: readonly string[]) =>
    runRingwallHere(['completion', 'words', '--', ...words, '--url', url, ''])

  test('nothing listens: nothing is said', async () => {
    assert.deepEqual(await ask('http://127.0.0.1:1', 'sg', 'show'), { exitCode: 2, stdout: '', stderr: '' })
  })

  test('it does not answer: the shell is not kept waiting', async () => {
    const server = createServer(() => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    assert.deepEqual(await ask(url, 'sg', 'show'), { exitCode: 2, stdout: '', stderr: '' })
    server.closeAllConnections()
    server.close()
  })

  test('what needs no daemon is completed all the same', async () => {
    const { stdout } = await runRingwallHere(['completion', 'words', '--', 'rule', '--url', 'http://127.0.0.1:1'])
    assert.equal(stdout, '')
    assert.deepEqual(
      await candidatesOf(['rule', 'add', 'x', 'in'], { ...process.env, RINGWALL_URL: 'http://127.0.0.1:1' }),
      ['ingress'],
    )
    assert.deepEqual(
      await candidatesOf(['rule', 'add', 'x', 'ingress', 'allow', 'ssh', 'from', 'any-'], {
        ...process.env,
        RINGWALL_URL: 'http://127.0.0.1:1',
      }),
      ['any-ipv4', 'any-ipv6'],
    )
  })
})

suite('scripts', () => {
  test('bash reads it', async () => {
    const { stdout, exitCode } = await runRingwall(['completion', 'bash'])
    assert.equal(exitCode, 0)
    execFileSync('bash', ['-n'], { input: stdout })
  })

  // What needs no daemon: for that a shell waits for a moment only, which may be too short here.
  test('bash completes with it', async () => {
    const { stdout } = await runRingwall(['completion', 'bash'])
    const script = `${stdout}
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _ringwall; printf '%s\\n' "\${COMPREPLY[@]}"; }
complete_line ringwall context use p
complete_line ringwall rule add sg-web ""
complete_line ringwall rul
`
    const env = { ...process.env, PATH: `${dirname(ringwallCommand)}${delimiter}${process.env.PATH}` }
    const bash = spawn('bash', [], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    bash.stdin.end(script)
    assert.equal(await text(bash.stdout), 'prod\ningress\negress\nrule\n')
  })

  const fish = spawnSync('fish', ['--version']).status === 0
  test('fish completes with it', { skip: fish ? false : 'needs fish' }, async () => {
    const file = join(operator.folder, 'ringwall.fish')
    await writeFile(file, (await runRingwall(['completion', 'fish'])).stdout)
    const env = { ...process.env, PATH: `${dirname(ringwallCommand)}${delimiter}${process.env.PATH}` }
    const line = 'source $argv[1]; complete -C "ringwall rul"; complete -C "ringwall sg create --type=b"'
    const printed = execFileSync('fish', ['--no-config', '-c', line, file], { env, encoding: 'utf8' })
    assert.equal(printed, 'rule\n--type=basic\n')
  })

  const zsh = spawnSync('zsh', ['--version']).status === 0
  test('zsh reads it', { skip: zsh ? false : 'needs zsh' }, async () => {
    execFileSync('zsh', ['-n'], { input: (await runRingwall(['completion', 'zsh'])).stdout })
  })

  for (const [args, message] of [
    [[], 'ringwall completion: expected bash, zsh or fish\n'],
    [['tcsh'], 'ringwall completion: expected bash, zsh or fish, not "tcsh"\n'],
    [['constructor'], 'ringwall completion: expected bash, zsh or fish, not "constructor"\n'],
    [['bash', 'x'], 'ringwall completion: unexpected argument "x"\n'],
  ] as const) {
    test(`ringwall completion ${args.join(' ')}`, async () => {
      const { exitCode, stderr } = await runRingwallHere(['completion', ...args])
      assert.deepEqual([exitCode, stderr], [2, `${message}See "ringwall completion --help".\n`])
    })
  }
})
