/** The operator's commands against a real daemon: what they do, print, refuse, and with which exit code. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { enrolFake, FakeAgent, type FakeCredentials } from '../../support/fake-agent.ts'
import { startOperator } from '../../support/operator.ts'

const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())
const { run } = operator
const json = async (...args: readonly string[]) => JSON.parse(await operator.do(...args, '--json'))
const account = '1000000000000000'

/** `sg-web (revision 12)` is the same whatever came before. */
const withoutRevision = (text: string) =>
  text.replace(/revision \d+/g, 'revision N').replace(/sgr-[a-z0-9]{17}/g, 'sgr-ID')

async function refused(args: readonly string[], exitCode: number, ...lines: readonly string[]): Promise<void> {
  const result = await run(args)
  assert.deepEqual(result, { exitCode, stdout: '', stderr: lines.map(line => `${line}\n`).join('') })
}

test('empty lists say so, and what to do', async () => {
  const rows = [
    ['sg', 'There are no security groups yet. Make one: ringwall sg create sg-web\n'],
    [
      'instance',
      'There are no instances yet. Let a host join ("ringwall agent invite --new-instance"), or make one: ringwall instance register\n',
    ],
    [
      'eni',
      'There are no network interfaces yet. Register one: ringwall eni register --instance i-web1 --device eth0 --group sg-web\n',
    ],
    [
      'prefix-list',
      'There are no prefix lists yet. Make one: ringwall prefix-list create pl-office --add 203.0.113.0/24\n',
    ],
    ['agent', 'There are no agents yet. Let a host join: ringwall agent invite\n'],
  ] as const
  for (const [noun, text] of rows) assert.equal(await operator.do(noun, 'list'), text)
  assert.equal(await operator.do('sg', 'list', '--name', 'x*'), 'There are no such security groups.\n')
  assert.equal((await json('sg', 'list')).totalCount, 0)
})

test('groups: made, shown, changed, cloned, exported, imported, deleted', async () => {
  assert.equal(
    withoutRevision(
      await operator.do(
        'sg',
        'create',
        'sg-one',
        '--name',
        'one',
        '--tag',
        'env=prod,team=web',
        '--description',
        'first',
      ),
    ),
    'Made security group sg-one (revision N).\n',
  )
  assert.equal(
    await operator.do('sg', 'list', '--tag', 'env=prod'),
    [
      'GROUP   NAME  ACCOUNT           TYPE   NETWORK  INNER   RULES  ENIS  TAGS                DESCRIPTION',
      `sg-one  one   ${account}  basic  vpc      accept  0      0     env=prod, team=web  first`,
      '',
    ].join('\n'),
  )
  await operator.do(
    'sg',
    'modify',
    'one',
    '--name',
    'eins',
    '--untag',
    'team',
    '--tag',
    'env=test',
    '--description',
    '',
  )
  const { securityGroup } = await json('sg', 'show', 'eins')
  assert.deepEqual(
    [securityGroup.securityGroupName, securityGroup.tags, securityGroup.description],
    ['eins', { env: 'test' }, null],
  )
  assert.match(
    await operator.do('rule', 'list', 'sg-one'),
    /^sg-one has no rules\. Add one: ringwall rule add sg-one ingress allow/,
  )

  await operator.do('rule', 'add', 'sg-one', 'ingress', 'allow', 'https', 'from', 'any')
  assert.match(await operator.do('sg', 'show', 'sg-one'), /^rules +2\n[\s\S]*\n\nRULE +DIRECTION/m)
  await operator.do('sg', 'clone', 'sg-one', 'sg-two', '--name', 'two', '--type', 'advanced')
  for (const format of ['json', 'csv']) {
    const file = join(operator.folder, `rules.${format}`)
    assert.equal(
      await operator.do('sg', 'export', 'sg-one', '--format', format, '--output', file),
      `Wrote the rules of sg-one to "${file}".\n`,
    )
    assert.equal(await operator.do('sg', 'export', 'sg-one', '--format', format), await readFile(file, 'utf8'))
    await operator.do('sg', 'create', `sg-${format}`)
    assert.equal(
      withoutRevision(await operator.do('sg', 'import', `sg-${format}`, file)),
      `Imported 2 rules into sg-${format} (revision N).\n`,
    )
    const { items } = await json('rule', 'list', `sg-${format}`)
    assert.deepEqual(
      items.map(({ portRange }: { portRange: string }) => portRange),
      ['443/443', '443/443'],
    )
  }
  const fromStdin = await run(['sg', 'import', 'sg-csv', '-', '--mode', 'replace', '--format', 'json'], { stdin: '[]' })
  assert.equal(withoutRevision(fromStdin.stdout), 'Imported 0 rules into sg-csv (revision N).\n')
  for (const id of ['sg-one', 'sg-two', 'sg-json', 'sg-csv']) {
    assert.equal(withoutRevision(await operator.do('sg', 'delete', id)), `Deleted security group ${id} (revision N).\n`)
  }
})

test('rules: added with words, listed, changed, removed with the same words or by id', async () => {
  await operator.do('sg', 'create', 'sg-web', '--name', 'web')
  await operator.do('sg', 'create', 'sg-app', '--name', 'app')
  await operator.do('prefix-list', 'create', 'pl-office', '--add', '203.0.113.0/24,198.51.100.7')
  const words = [
    'ingress',
    'allow',
    'tcp/443',
    'from',
    '0.0.0.0/0,app,pl-office',
    '--priority',
    '1',
    '--description',
    'tls',
  ]
  assert.equal(
    withoutRevision(await operator.do('rule', 'add', 'web', ...words)),
    `sg-web has these rules (revision N).
  sgr-ID  ingress allow tcp/443 from 0.0.0.0/0 --priority 1 --description "tls"
  sgr-ID  ingress allow tcp/443 from sg-app --priority 1 --description "tls"
  sgr-ID  ingress allow tcp/443 from pl-office --priority 1 --description "tls"
`,
  )
  await operator.do(
    'rule',
    'add',
    'sg-web',
    'egress',
    'deny',
    'all',
    'to',
    '2001:db8::/32',
    '--local',
    '2001:db8::2',
    '--priority',
    '100',
  )
  const { items } = await json('rule', 'list', 'sg-web', '--direction', 'egress')
  const { securityGroupRuleId: id } = items[0]
  assert.deepEqual(
    withoutRevision(await operator.do('rule', 'list', 'sg-web', '--sort', '-priority'))
      .split('\n')
      .slice(0, 2)
      .map(line => line.replace(/ +/g, ' ')),
    [
      'RULE DIRECTION VERDICT WHAT PEER OWN SIDE PRIORITY DESCRIPTION',
      'sgr-ID egress drop all to 2001:db8::/32 2001:db8::2/128 100 -',
    ],
  )
  // The strongest first, and at one priority what drops.
  await operator.do('rule', 'add', 'sg-web', 'ingress', 'deny', 'tcp/443', 'from', '203.0.113.9', '--priority', '1')
  await operator.do('rule', 'add', 'sg-web', 'egress', 'deny', 'all', 'to', 'any-ipv4', '--priority', '9')
  for (const table of [await operator.do('rule', 'list', 'sg-web'), await operator.do('sg', 'show', 'sg-web')]) {
    const rows = table.slice(table.indexOf('RULE ')).trimEnd().split('\n').slice(1)
    assert.deepEqual(
      rows.map(row => row.split(/ +/).slice(1, 4).join(' ')),
      ['ingress drop tcp/443', ...Array(3).fill('ingress accept tcp/443'), 'egress drop all', 'egress drop all'],
    )
    assert.match(rows.at(-1)!, / 100 /)
  }
  assert.equal((await json('rule', 'list', 'sg-web', '--verdict', 'deny')).totalCount, 3)
  for (const what of ['ingress deny tcp/443 from 203.0.113.9 --priority 1', 'egress deny all to any-ipv4 --priority 9'])
    await operator.do('rule', 'remove', 'sg-web', ...what.split(' '))
  const changes = [
    '--verdict',
    'allow',
    '--what',
    'tcp/25',
    '--peer',
    'app',
    '--local',
    '',
    '--from-port',
    '1024-65535',
    '--priority',
    '2',
  ]
  await operator.do('rule', 'modify', 'sg-web', id, ...changes)
  const [changed] = (await json('rule', 'list', 'sg-web', '--direction', 'egress')).items
  const { policy, ipProtocol, portRange, destGroupId, ipv6DestCidrIp, ipv6SourceCidrIp, sourcePortRange, priority } =
    changed
  assert.deepEqual(
    [policy, ipProtocol, portRange, destGroupId, ipv6DestCidrIp, ipv6SourceCidrIp, sourcePortRange, priority],
    ['accept', 'tcp', '25/25', 'sg-app', undefined, undefined, '1024/65535', 2],
  )
  assert.equal(
    withoutRevision(await operator.do('rule', 'remove', 'sg-web', id)).split('\n')[0],
    'Removed 1 rule of sg-web (revision N).',
  )
  assert.equal(
    withoutRevision(await operator.do('rule', 'remove', 'web', ...words)).split('\n')[0],
    'Removed 3 rules of sg-web (revision N).',
  )
  assert.equal(
    withoutRevision(await operator.do('rule', 'remove', 'web', ...words)),
    'sg-web has no such rule (revision N).\n',
  )
})

test('prefix lists, instances, interfaces and membership', async () => {
  await operator.do(
    'prefix-list',
    'modify',
    'pl-office',
    '--add',
    '192.0.2.0/24',
    '--remove',
    '198.51.100.7',
    '--name',
    'office',
  )
  assert.match(await operator.do('prefix-list', 'show', 'office'), /\n\nBLOCK\n203\.0\.113\.0\/24\n192\.0\.2\.0\/24\n$/)
  await operator.do('instance', 'register', 'i-web1', '--name', 'web1', '--type', 'ecs.g5.large', '--tag', 'rack=7')
  await operator.do(
    'eni',
    'register',
    'eni-1',
    '--instance',
    'web1',
    '--device',
    'eth0',
    '--group',
    'web',
    '--address',
    '198.18.0.2',
    '--address',
    '2001:db8::2',
  )
  assert.equal(
    await operator.do('eni', 'list', '--instance', 'web1'),
    `ENI    INSTANCE  DEVICE  MAC  PLACEMENT  ADDRESSES                GROUPS
eni-1  i-web1    eth0    -    host       198.18.0.2, 2001:db8::2  sg-web
`,
  )
  await operator.do('sg', 'join', 'app', 'web1')
  assert.match(await operator.do('sg', 'members', 'app'), /^eni-1 +i-web1 +198\.18\.0\.2, 2001:db8::2$/m)
  assert.equal(
    withoutRevision(await operator.do('eni', 'detach', '198.18.0.2', 'web')),
    'eni-1 is out of sg-web (revision N).\n',
  )
  await operator.do('eni', 'attach', 'eni-1', 'web')
  await operator.do('sg', 'leave', 'sg-app', '2001:db8::2')
  await operator.do(
    'eni',
    'modify',
    'eni-1',
    '--mac',
    '02:00:00:00:00:01',
    '--address',
    '198.18.0.3',
    '--placement',
    'guest',
  )
  const { networkInterface } = await json('eni', 'show', '198.18.0.3')
  const { macAddress, privateIpAddresses, ipv6Addresses, placement, securityGroupIds } = networkInterface
  assert.deepEqual(
    [macAddress, privateIpAddresses, ipv6Addresses, placement, securityGroupIds],
    ['02:00:00:00:00:01', ['198.18.0.3'], [], 'guest', ['sg-web']],
  )
  await operator.do('eni', 'register', 'eni-spare', '--name', 'spare', '--group', 'web', '--address', '198.18.0.9')
  assert.match(await operator.do('sg', 'members', 'web'), /^eni-spare +- +198\.18\.0\.9$/m)
  assert.equal(
    withoutRevision(await operator.do('eni', 'bind', '198.18.0.9', 'web1', '--device', 'eth1')),
    'eni-spare is of i-web1 (revision N).\n',
  )
  const { networkInterface: bound } = await json('eni', 'show', 'eni-spare')
  assert.deepEqual([bound.instanceId, bound.device, bound.type], ['i-web1', 'eth1', 'Secondary'])
  assert.equal(
    withoutRevision(await operator.do('eni', 'unbind', 'eni-spare')),
    'eni-spare is of no instance (revision N).\n',
  )
  assert.match(await operator.do('eni', 'show', 'eni-spare'), /^name +spare$/m)
  await operator.do('eni', 'delete', 'eni-spare', '--yes')
  await operator.do('instance', 'modify', 'web1', '--smtp-unblocked', 'yes', '--untag', 'rack')
  assert.match(await operator.do('instance', 'show', 'web1'), /^SMTP unblocked +yes$/m)
  await operator.do('rule', 'add', 'sg-app', 'ingress', 'allow', 'tcp/3306', 'from', 'sg-web')
  assert.match(await operator.do('sg', 'references', 'web'), /^sg-app +1000000000000000 +sgr-/m)
})

test('lists of ports, and a rule that names one', async () => {
  await operator.do('port-range-list', 'create', 'prl-web', '--add', '80,8000-8100', '--max-entries', '4')
  await operator.do('port-range-list', 'modify', 'prl-web', '--add', '443', '--remove', '80', '--name', 'web-ports')
  await operator.do('rule', 'add', 'app', 'egress', 'allow', 'tcp/prl-web', 'to', '198.18.0.0/16')
  const shown = await operator.do('port-range-list', 'show', 'web-ports')
  assert.match(shown, /\n\nPORTS\n8000-8100\n443\n\nNAMED BY +RULES\nsg-app +sgr-\w+\n$/)
  assert.match(await operator.do('port-range-list', 'list'), /^prl-web +web-ports +\d{16} +2 of 4 +1$/m)
  assert.match(
    await operator.do('rule', 'list', 'app'),
    /^sgr-\w+ +egress +accept +tcp\/prl-web +to 198\.18\.0\.0\/16/m,
  )
})

test('names: one that several have is refused with a list of them', async () => {
  await operator.do('account', 'create', 'shop', '--id', '2000000000000000')
  await operator.do('sg', 'create', 'sg-web-shop', '--name', 'web', '--account', 'shop')
  await refused(
    ['sg', 'show', 'web'],
    4,
    '"web" is the name of 2 objects of this kind (security group); say which by its id:',
    `  sg-web (account ${account})`,
    '  sg-web-shop (account 2000000000000000)',
  )
  assert.match(await operator.do('sg', 'list', '--account', 'shop'), /^sg-web-shop /m)
  const unsaid = await run(['sg', 'create', 'sg-x'])
  assert.equal(unsaid.exitCode, 4)
  assert.match(
    unsaid.stderr,
    /\nSay which with --account; "ringwall account list" shows them, and a context can have one\.\n"ringwall context show" says what your token may do\.\n$/,
  )
  await operator.do('sg', 'delete', 'sg-web-shop')
  await operator.do('account', 'delete', 'shop')
})

suite('what is refused says what to do', () => {
  for (const [args, exitCode, ...lines] of [
    [['sg', 'show', 'sg-wbe'], 4, 'no such security group "sg-wbe"; did you mean "sg-web"?'],
    [['sg', 'show', 'xyzzy'], 4, 'no such security group "xyzzy"; expected sg-app, app, sg-web, web'],
    [['sg', 'show', '..'], 4, 'no such security group ".."; expected sg-app, app, sg-web, web'],
    [['sg', 'show', '*'], 4, 'no such security group "*"; expected sg-app, app, sg-web, web'],
    [
      ['rule', 'add', 'web', 'ingress', 'allow', 'tcp/443', 'from', 'sg-ap'],
      4,
      'no such security group "sg-ap"; did you mean "sg-app"?',
    ],
    [
      ['rule', 'add', 'web', 'ingress', 'allow', 'shs', 'from', 'any'],
      4,
      'permissions[0].service, permissions[1].service: Cannot find service "shs": expected one of ssh, telnet, http, https, ms-sql, oracle, mysql, rdp, postgresql, redis',
    ],
    [
      ['rule', 'modify', 'web', 'sgr-x', '--priority', '2'],
      4,
      'no such rule "sgr-x" in sg-web; see "ringwall rule list sg-web"',
    ],
    [
      ['sg', 'delete', 'web'],
      4,
      'Cannot delete security group "sg-web": expected nothing to hold it, but there is eni-1, sg-app',
      'Held by network interfaces: eni-1',
      'Held by security groups: sg-app',
      '"ringwall sg leave" and "ringwall eni detach" take interfaces out of a group.',
    ],
    [
      ['sg', 'leave', 'web', 'eni-1'],
      4,
      'networkInterfaceIds[0]: Cannot take eni-1 out of its last group: expected it to keep at least one',
      'Put it into another first: ringwall eni attach ENI GROUP, or exchange them: ringwall eni modify ENI --group GROUP',
    ],
    [
      ['settings', 'set', '--limit', 'rules=1'],
      4,
      'limits.rules: Cannot read field "rules": expected a field that the route takes',
      '"ringwall limits" shows the limits there are.',
    ],
    [
      ['sg', 'export', 'web', '--output', '/nonexistent/file'],
      2,
      'Cannot write "/nonexistent/file": there is no such folder',
    ],
    [
      ['agent', 'show', 'nobody'],
      4,
      'no such agent "nobody"; there is none that you may see. Let a host join: ringwall agent invite',
    ],
    [['token', 'delete', 'nobody'], 4, 'no such API token "nobody"; expected '],
    [
      ['change', 'show', '0'],
      2,
      'ringwall change show: REVISION is "0", expected a number as writes answer it',
      'See "ringwall change show --help".',
    ],
    [
      ['token', 'create', 'x', '--all'],
      2,
      'ringwall token create: expected --read or --write',
      'See "ringwall token create --help".',
    ],
    [
      ['token', 'create', 'x', '--read'],
      2,
      'ringwall token create: expected --account ACCOUNT or --all',
      'See "ringwall token create --help".',
    ],
    [
      ['eni', 'register', '--address', 'eth0'],
      2,
      'ringwall eni register: --address is "eth0", expected an IPv4 or IPv6 address',
      'See "ringwall eni register --help".',
    ],
    [
      ['audit', '--since', 'yesterday'],
      2,
      'ringwall audit: --since is "yesterday", expected 15m, 2h, 7d or a time such as 2026-11-26T20:40Z',
      'See "ringwall audit --help".',
    ],
    [
      ['sg', 'modify', 'web'],
      2,
      'ringwall sg modify: nothing to change, expected one of --name, --description, --inner-access, --mode, --tag, --untag',
      'See "ringwall sg modify --help".',
    ],
    [
      ['settings', 'set', '--limit', 'x'],
      2,
      'ringwall settings set: --limit is "x", expected NAME=N as "ringwall limits" names them',
      'See "ringwall settings set --help".',
    ],
    [['backup', 'restore', '/nonexistent/file'], 2, 'Cannot read backup "/nonexistent/file": there is no such file'],
    [
      ['backup', 'restore', '/etc/hostname'],
      2,
      'Cannot read backup "/etc/hostname": expected a file that "ringwall backup create" wrote',
    ],
    [
      ['sg', 'import', 'web', '/nonexistent/file'],
      2,
      'Cannot read rules from "/nonexistent/file": there is no such file',
    ],
  ] as const) {
    test(args.join(' '), async () => {
      const result = await run(args)
      assert.deepEqual([result.exitCode, result.stdout], [exitCode, ''])
      const wanted = lines.map(line => `${line}\n`).join('')
      if (lines[0].endsWith('expected ')) assert.ok(result.stderr.startsWith(lines[0]), result.stderr)
      else assert.equal(result.stderr, wanted)
    })
  }

  test('a revision that it has not any more', async () => {
    const { exitCode, stderr } = await run(['sg', 'modify', 'web', '--description', 'x', '--if-revision', '1'])
    assert.equal(exitCode, 4)
    assert.match(
      stderr,
      /If-Match says revision 1.*\nIt was changed meanwhile: look at it again, then repeat with the revision it has now\.\n$/,
    )
  })

  test('a token that goes into a file is in it alone, which is for its owner and never overwritten', async () => {
    const file = join(operator.folder, 'ops.token')
    const create = (...flags: readonly string[]) =>
      run(['token', 'create', 'ops', '--all', '--read', '--file', file, ...flags])
    await create('--dry-run')
    assert.equal(existsSync(file), false)
    const { stdout } = await create()
    assert.match(
      withoutRevision(stdout),
      /^Made API token token-[a-z0-9]+, in ".*ops\.token"\.\nTo use it here: ringwall context add ops --url \S+ --token-file \S+ops\.token\n$/,
    )
    const token = (await readFile(file, 'utf8')).trim()
    assert.ok(!stdout.includes(token))
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.match((await run(['context', 'show', '--token', token])).stdout, /^may +read all \(token "ops"\)$/m)
    const again = await create()
    assert.deepEqual([again.exitCode, again.stdout], [2, ''])
    assert.equal(again.stderr, `Cannot write "${file}": there is one already; name another\n`)
    assert.equal((await readFile(file, 'utf8')).trim(), token)
    await operator.do('token', 'delete', 'ops')
  })

  test('a token that is over, one that may not, and none', async () => {
    const unknown = await run(['sg', 'list', '--token', `rwt_token-x_${'x'.repeat(43)}`])
    assert.equal(unknown.exitCode, 4)
    const another = `Give a token that is valid: ringwall context add NAME --url ${operator.url} --token-file FILE, or set RINGWALL_TOKEN.\n`
    assert.ok(unknown.stderr.endsWith(`\nIt was rwt_token-x_…, from --token.\n${another}`), unknown.stderr)
    const { RINGWALL_TOKEN: own = '' } = process.env
    process.env.RINGWALL_TOKEN = ''
    const none = await run(['sg', 'list'])
    process.env.RINGWALL_TOKEN = own
    assert.ok(none.stderr.endsWith(`"Authorization: Bearer rwt_…"\n${another}`), none.stderr)
    const untold = 'Nothing was stored. It would be done; the daemon does not show how.\n'
    assert.equal(await operator.do('token', 'create', 'reader', '--all', '--read', '--dry-run'), untold)
    const { token } = await json('token', 'create', 'reader', '--all', '--read')
    assert.equal(await operator.do('token', 'delete', 'reader', '--dry-run'), untold)
    const mayNot = await run(['sg', 'create', '--token', token, '--account', account])
    assert.equal(mayNot.exitCode, 4)
    assert.match(mayNot.stderr, /\n"ringwall context show" says what your token may do\.\n$/)
    assert.match((await run(['context', 'show', '--token', token])).stdout, /^may +read all \(token "reader"\)$/m)
    assert.match(
      withoutRevision(await operator.do('token', 'delete', 'reader')),
      /^Deleted API token token-[a-z0-9]+ \(revision N\)\.$/m,
    )
  })

  test('nothing listens', async () => {
    // Port 1 is free: it needs a privilege, and nothing here has asked for it.
    const { exitCode, stderr } = await run(['sg', 'list', '--url', 'http://127.0.0.1:1'])
    assert.equal(exitCode, 5)
    assert.match(
      stderr,
      /^Cannot reach the daemon at http:\/\/127\.0\.0\.1:1: nothing listens there\nStart the daemon there with "ringwall daemon"\. "ringwall context show" shows the address\.\n$/,
    )
  })
})

test('--dry-run says what would change, whom and which rules it touches; nothing is stored', async () => {
  const before = (await json('change', 'list', '--limit', '1')).items[0].revision
  const printed = await operator
    .do('sg', 'leave', 'sg-web', 'eni-1', '--dry-run')
    .catch((error: Error) => error.message)
  assert.match(printed, /last|least one/)
  assert.equal(
    withoutRevision(await operator.do('sg', 'join', 'app', 'eni-1', '--dry-run')),
    `Nothing was stored. It would
  change network interface eni-1
    securityGroupIds: + sg-app
No agent would hear of it.
`,
  )
  assert.equal(
    withoutRevision(await operator.do('eni', 'modify', 'eni-1', '--address', '198.18.0.4', '--dry-run')),
    `Nothing was stored. It would
  change network interface eni-1
    privateIpAddresses: - 198.18.0.3
    privateIpAddresses: + 198.18.0.4
No agent would hear of it.
It touches 1 rule:
  sgr-ID of sg-app: matches other addresses
`,
  )
  assert.equal(await operator.do('sg', 'modify', 'web', '--name', 'web', '--dry-run'), 'Nothing would change.\n')
  const { dryRun, changes } = await json('rule', 'add', 'web', 'ingress', 'allow', 'icmp', 'from', 'any', '--dry-run')
  assert.deepEqual([dryRun, changes.length], [true, 1])
  assert.equal((await json('change', 'list', '--limit', '1')).items[0].revision, before)
})

suite('deleting asks on a terminal', () => {
  for (const [name, stdin, flags, exitCode, said] of [
    ['no', 'n\n', [], 1, 'Nothing was changed.\n'],
    ['nothing but Enter', '\n', [], 1, 'Nothing was changed.\n'],
    ['the terminal ends', '', [], 1, '\nNothing was changed.\n'],
    ['yes', 'y\n', [], 0, ''],
    ['--yes', '', ['--yes'], 0, ''],
  ] as const) {
    test(name, async () => {
      await operator.do('sg', 'create', 'sg-gone')
      const result = await run(['sg', 'delete', 'sg-gone', ...flags], { stdin, terminal: 'stdin' })
      assert.equal(result.exitCode, exitCode)
      const asked = 'Delete security group sg-gone and its rules? [y/N] '
      assert.equal(result.stderr, `${flags.length > 0 ? '' : asked}${said}`)
      const isDeleted = exitCode === 0
      assert.equal(
        (await json('sg', 'list')).items.some(
          ({ securityGroupId }: { securityGroupId: string }) => securityGroupId === 'sg-gone',
        ),
        !isDeleted,
      )
      if (!isDeleted) await operator.do('sg', 'delete', 'sg-gone')
    })
  }
})

test('settings and limits', async () => {
  await operator.do('settings', 'set', '--session-timeout', '600', '--limit', 'rulesPerGroup=300,groupsPerEni=6')
  assert.match(
    await operator.do('settings', 'show'),
    /^session timeout +600 s\nrevocation +immediate\nlimit rulesPerGroup +300\nlimit groupsPerEni +6\n/,
  )
  assert.match(await operator.do('limits'), /^rulesPerGroup +300 +\d+ +sg-(app|web) +Rules of one group/m)
})

test('the health report, and what decides about a packet', async () => {
  await operator.do('rule', 'add', 'web', 'ingress', 'allow', 'ssh', 'from', 'any-ipv4')
  const report = await operator.do('health', '--group', 'web')
  assert.match(report, /^high +open-to-world +sg-web sgr-/m)
  assert.match(report, /^\d+ findings?: 1 high, /m)
  assert.equal((await run(['health', '--fail-on', 'high'])).exitCode, 1)
  assert.match(await operator.do('health', '--limit', '1'), /^These are the first 1 of \d+; --limit shows more\.$/m)
  const question = [
    '--eni',
    'eni-1',
    '--direction',
    'ingress',
    '--protocol',
    'tcp',
    '--source',
    '203.0.113.9',
    '--destination',
    '198.18.0.3',
  ]
  assert.match(
    await operator.do('explain', ...question, '--port', '22'),
    /^accept: tcp 203\.0\.113\.9:40000 -> 198\.18\.0\.3:22 \(ingress at eni-1\)\ndecided by rule sgr-\w+ of sg-web: accept tcp 22 from 0\.0\.0\.0\/0, priority 1\n/,
  )
  assert.equal((await json('explain', ...question, '--port', '23')).verdict, 'drop')
  const [, , ...rest] = question
  const unknown = await run(['explain', '--eni', 'eni-9', ...rest, '--port', '22'])
  assert.deepEqual(
    [unknown.exitCode, unknown.stderr],
    [4, 'no such network interface "eni-9"; did you mean "eni-1"?\n'],
  )
  const byAddress = await operator.do('explain', '--eni', '198.18.0.3', ...rest, '--port', '22')
  assert.match(byAddress, /^accept: .* \(ingress at eni-1\)$/m)
})

test('templates and services', async () => {
  const shown = await operator.do('sg', 'templates')
  assert.match(shown, /^web-server-linux:\n {2}ingress allow tcp\/80 from 0\.0\.0\.0\/0 --priority 1\n/)
  assert.match(shown, /^custom: no rules\n\nSERVICE +IS\nssh +tcp\/22\n/m)
  assert.equal((await json('sg', 'templates')).templates.length, 3)
})

test('changes and the audit log', async () => {
  const { revision } = await json('sg', 'create', 'sg-noted')
  assert.match(
    await operator.do('change', 'list', '--limit', '2'),
    new RegExp(
      `^${revision} +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d +first +ecs:CreateSecurityGroup +- +group/sg-noted$`,
      'm',
    ),
  )
  assert.match(
    await operator.do('change', 'list', '--limit', '2'),
    /^These are the latest 2; --limit shows more changes\.$/m,
  )
  const shown = await operator.do('change', 'show', String(revision))
  assert.match(shown, /^objects +group\/sg-noted\n\nIn force: it concerns no agent\.\n$/m)
  await run(['sg', 'create', 'sg-noted'])
  const audit = await operator.do('audit', '--since', '1h', '--object', 'group/sg-noted')
  assert.equal(await operator.do('audit', '--since', '1h', '--object', 'sg-noted', '--principal', 'first'), audit)
  await refused(
    ['audit', '--object', 'noted'],
    2,
    'ringwall audit: --object is "noted", expected an id such as sg-web, or as the table has it: ramUser/…',
    'See "ringwall audit --help".',
  )
  assert.match(audit, /first +127\.0\.0\.1 +ecs:CreateSecurityGroup +done +\d+ +group\/sg-noted/)
  assert.match(await operator.do('audit', '--outcome', 'refused', '--limit', '1'), /refused: IdAlreadyExists/)
  assert.equal(await operator.do('audit', '--until', '2020-01-01'), 'Nothing of this kind was written or refused.\n')
})

test('backup and restore', async () => {
  const file = join(operator.folder, 'backup.db')
  // Of a command that was killed, or laid out by somebody: the keys of the CA are not for who may read it.
  await writeFile(`${file}.new`, '', { mode: 0o644 })
  assert.match(await operator.do('backup', 'create', file), /^Wrote \d+ bytes to ".*backup\.db"\.\n$/)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await refused(
    ['backup', 'create', file],
    2,
    `Cannot write "${file}": there is one already; name another, or say --overwrite`,
  )
  await refused(
    ['backup', 'create', join(file, 'x')],
    2,
    `Cannot read "${join(file, 'x')}": what its path names as a folder is none`,
  )
  await operator.do('backup', 'create', file, '--overwrite')
  await operator.do('sg', 'create', 'sg-after')
  assert.match(await operator.do('backup', 'restore', file, '--dry-run'), /^ {2}delete security group sg-after$/m)
  assert.match(
    withoutRevision(await operator.do('backup', 'restore', file)),
    /^The state is that of ".*backup\.db" \(revision N\)\.\n$/,
  )
  await refused(
    ['sg', 'show', 'sg-afte'],
    4,
    'no such security group "sg-afte"; expected sg-app, app, sg-noted, sg-web, web',
  )
  const bytes = await readFile(file)
  await writeFile(file, bytes.subarray(0, bytes.length / 2))
  const { exitCode, stderr } = await run(['backup', 'restore', file])
  assert.equal(exitCode, 4)
  assert.match(stderr, /^Cannot (restore|read|take)/)
})

suite('--wait', () => {
  let token = ''
  let joinCommand = ''
  let credentials: FakeCredentials
  before(async () => {
    await operator.do('sg', 'create', 'sg-wait')
    await operator.do('instance', 'register', 'i-wait')
    await operator.do(
      'eni',
      'register',
      'eni-wait',
      '--instance',
      'i-wait',
      '--device',
      'eth0',
      '--group',
      'sg-wait',
      '--address',
      '198.18.0.9',
    )
    ;({ token, joinCommand } = await json('agent', 'invite', '--instance', 'i-wait'))
    credentials = await enrolFake(operator.agentPort, token)
  })
  const rule = (port: number) =>
    ['rule', 'add', 'sg-wait', 'ingress', 'allow', `tcp/${port}`, 'from', 'any-ipv4'] as const

  test('the invitation has the command to run on the host, and can be seen and taken back', async () => {
    assert.equal(joinCommand, `ringwall agent join https://ringwall.example:9443 --token ${token}`)
    assert.match(await operator.do('agent', 'invitations'), /^enrol-[a-z0-9]+ +i-wait /m)
    const printed = await operator.do('agent', 'invite', '--new-instance', '--account', account, '--expires', '2h')
    assert.match(
      printed,
      /^Run this on the host as root, before \d{4}-.*; it is shown this once:\nringwall agent join \S+ --token rwe1\.\S+\n$/,
    )
    const id = /rwe1\.(enrol-[a-z0-9]+)\./.exec(printed)![1]!
    assert.equal(
      withoutRevision(await operator.do('agent', 'uninvite', id)),
      `Deleted invitation ${id} (revision N).\n`,
    )
  })

  test('not in force in time: exit code 3, and who is behind', async () => {
    const { exitCode, stdout, stderr } = await run([...rule(1), '--wait', '1'])
    assert.equal(exitCode, 3)
    assert.equal(stderr, '')
    const lines = stdout.split('\n').slice(2)
    assert.match(lines[0]!, /^Not in force everywhere: 0 of 1 agent\. Behind:$/)
    assert.match(lines[1]!, /^AGENT +HOST +STATE +SINCE$/)
    assert.match(lines[2]!, new RegExp(`^${credentials.agentId} +\\S+ +away +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d$`))
    assert.match(lines[3]!, /^The change is stored\. To wait for it: ringwall change show \d+ --follow$/)
    const asJson = await run([...rule(2), '--wait', '1', '--json'])
    assert.equal(asJson.exitCode, 3)
    assert.equal(JSON.parse(asJson.stdout).enforcement.state, 'pending')
    const { revision } = JSON.parse(asJson.stdout)
    assert.equal((await run(['change', 'show', String(revision)])).exitCode, 3)
    const away = await operator.do('agent', 'list', '--state', 'away')
    assert.match(away, new RegExp(`^${credentials.agentId} `, 'm'))
  })

  test('in force: with progress on a terminal, without elsewhere', async () => {
    const agent = await FakeAgent.connect(operator.agentPort, credentials)
    try {
      const plain = await run([...rule(3), '--wait'])
      assert.deepEqual([plain.exitCode, plain.stderr], [0, ''])
      assert.match(plain.stdout, /\nIn force on the one agent it concerns\.\n$/)
      const progress = await run([...rule(4), '--wait'], { terminal: 'stderr' })
      assert.equal(progress.exitCode, 0)
      assert.match(progress.stdout, /\nIn force on the one agent it concerns\.\n$/)
      const { revision } = await json('sg', 'modify', 'sg-wait', '--inner-access', 'drop')
      assert.equal((await run(['change', 'show', String(revision), '--follow'])).exitCode, 0)
    } finally {
      await agent.close()
    }
  })

  test('progress is a line that is written over, and gone in the end', async () => {
    const { exitCode, stderr, stdout } = await run([...rule(5), '--wait', '1'], { terminal: 'stderr' })
    assert.equal(exitCode, 3)
    const shown = stderr.split('\r\u001b[K')
    assert.deepEqual([shown[0], shown[1], shown.at(-1)], ['', '0 of 1 agent', ''])
    assert.match(stdout, /Not in force everywhere: 0 of 1 agent\. Behind:\n/)
  })

  test('an agent is revoked, and then deleted', async () => {
    assert.equal(
      withoutRevision(await operator.do('agent', 'revoke', credentials.agentId)),
      `Revoked agent ${credentials.agentId} (revision N).\n`,
    )
    assert.match(await operator.do('agent', 'show', credentials.agentId), /^state +revoked$/m)
    assert.equal(
      withoutRevision(await operator.do('agent', 'delete', credentials.agentId)),
      `Deleted agent ${credentials.agentId} (revision N).\n`,
    )
  })
})
