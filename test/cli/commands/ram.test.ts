/** `ringwall ram` against a real daemon: users, groups, policies, roles, keys, and who decides. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startOperator } from '../../support/operator.ts'
import { sign } from '../../support/rpc-client.ts'

const operator = await startOperator()
after(() => operator[Symbol.asyncDispose]())
const { run } = operator
const account = '1000000000000000'
const ram = async (...args: readonly string[]) => withoutChance(await operator.do('ram', ...args))
const json = async (...args: readonly string[]) => JSON.parse(await operator.do('ram', ...args, '--json'))

function withoutChance(text: string): string {
  return text
    .replace(/revision \d+/g, 'revision N')
    .replace(/RW[A-Za-z0-9]{22}/g, 'RWKEY')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME')
}

async function file(name: string, value: unknown): Promise<string> {
  const path = join(operator.folder, name)
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value))
  return path
}

const office = {
  Version: '1',
  Statement: [
    { Effect: 'Allow', Action: 'ecs:*', Resource: '*' },
    {
      Effect: 'Deny',
      Action: '*',
      Resource: '*',
      Condition: { NotIpAddress: { 'acs:SourceIp': ['198.18.0.0/16'] } },
    },
  ],
}

async function refused(args: readonly string[], exitCode: number, message: string | RegExp): Promise<void> {
  const result = await run(['ram', ...args])
  assert.deepEqual([result.exitCode, result.stdout], [exitCode, ''], result.stderr)
  if (typeof message === 'string') assert.equal(result.stderr.split('\n')[0], message)
  else assert.match(result.stderr, message)
}

test('empty lists say what to do', async () => {
  assert.equal(await ram('user', 'list'), 'There are no users yet. Make one: ringwall ram user create NAME\n')
  assert.equal(await ram('group', 'list'), 'There are no groups yet. Make one: ringwall ram group create NAME\n')
  assert.equal(
    await ram('role', 'list'),
    'There are no roles yet. Make one: ringwall ram role create NAME --trust FILE\n',
  )
  // The first account begins with a key of its own.
  assert.match(await ram('key', 'list'), /^KEY .*\nRWKEY +the account +1000000000000000 +Active/)
})

test('users and groups: made, shown, changed, given policies, deleted', async () => {
  assert.equal(
    await ram('user', 'create', 'alice', '--name', 'Alice A.'),
    'Made user alice, who may nothing yet (revision N).\n',
  )
  await ram('group', 'create', 'ops', '--comments', 'on duty')
  assert.equal(await ram('group', 'add', 'ops', 'alice'), 'Put user alice into group ops (revision N).\n')
  const path = await file('office.json', office)
  assert.equal(await ram('policy', 'create', 'office', path), 'Made policy office (revision N).\n')
  assert.equal(await ram('group', 'attach', 'ops', 'office'), 'Gave policy office to group ops (revision N).\n')
  await ram('user', 'attach', 'alice', 'AliyunRAMReadOnlyAccess')
  assert.equal(
    await ram('user', 'list'),
    [
      'USER   NAME      ACCOUNT           GROUPS  POLICIES',
      `alice  Alice A.  ${account}  ops     AliyunRAMReadOnlyAccess (system)`,
      '',
    ].join('\n'),
  )
  await ram('user', 'modify', 'alice', '--name', '', '--comments', 'x')
  const { user } = await json('user', 'show', 'ALICE')
  assert.deepEqual([user.displayName, user.comments], [null, 'x'])
  assert.match(await ram('user', 'show', 'alice'), /^in policies +acs:ram::1000000000000000:user\/alice$/m)
  assert.match(await ram('group', 'show', 'ops'), /^users +alice\npolicies +office$/m)
  assert.match(await ram('policy', 'show', 'office'), /^groups +ops[\s\S]*"NotIpAddress": \{/m)
  await refused(['user', 'delete', 'alice'], 4, /User.Group|membership of ops/)
  assert.equal(await ram('group', 'remove', 'ops', 'alice'), 'Took user alice out of group ops (revision N).\n')
  await ram('group', 'add', 'ops', 'alice')
  const dry = await run(['ram', 'group', 'detach', 'ops', 'office', '--dry-run'])
  assert.match(dry.stdout, /change ramGroup 1000000000000000\.ops/)
  assert.deepEqual((await json('group', 'show', 'ops')).group.policies.length, 1)
})

test('policies: versions, which of them holds', async () => {
  const other = await file('other.json', { ...office, Statement: office.Statement.slice(0, 1) })
  assert.equal(await ram('policy', 'update', 'office', other), 'Version v2 of policy office holds (revision N).\n')
  await ram('policy', 'use', 'office', 'v1')
  assert.match(await ram('policy', 'show', 'office'), /^versions +v1 \(holds\), v2$/m)
  assert.equal(
    await ram('policy', 'update', 'office', other, '--not-yet'),
    'Version v3 of policy office is kept (revision N).\n',
  )
  await ram('policy', 'forget', 'office', 'v2')
  assert.match(await ram('policy', 'list'), /^office +Custom +1000000000000000 +v1 +1/m)
  await refused(
    ['policy', 'create', 'bad', await file('bad.json', '{')],
    2,
    /^Cannot read a policy from ".*bad.json": /,
  )
  await refused(['policy', 'create', 'bad', await file('list.json', [])], 2, /expected a JSON object with Version/)
  await refused(['policy', 'create', 'bad', await file('empty.json', {})], 4, /Version/)
  await refused(['policy', 'create', 'bad', '/no/such/file'], 2, /: there is no such file\n$/)
})

test('roles', async () => {
  const trust = {
    Version: '1',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${account}:user/alice`] } }],
  }
  await ram('role', 'create', 'Night', '--trust', await file('trust.json', trust), '--sessions', '8h')
  assert.match(await ram('role', 'list'), /^Night +1000000000000000 +- +8 h/m)
  await ram('role', 'modify', 'night', '--description', 'at night')
  await ram('role', 'attach', 'night', 'office')
  assert.match(await ram('role', 'show', 'night'), /^policies +office\n[\s\S]*"Principal": \{/m)
  await refused(
    ['role', 'create', 'x'],
    2,
    'ringwall ram role create: missing --trust, the file that says who may assume it',
  )
  await refused(['role', 'modify', 'night'], 2, /nothing to change/)
  await ram('role', 'detach', 'night', 'office')
  assert.equal(await ram('role', 'delete', 'night', '--yes'), 'Deleted role night (revision N).\n')
})

test('keys: the secret is shown once, and signs', async () => {
  const made = await operator.do('ram', 'key', 'create', 'alice')
  const [, key = '', secret = ''] =
    /^Made access key (RW\w+) of alice\. Its secret is shown this once:\n(\w+)\n$/.exec(made) ?? []
  const who = async () => {
    const { url, method, headers } = sign(
      { accessKeyId: key, secret },
      'GetCallerIdentity',
      {},
      { version: '2015-04-01' },
    )
    const answer = await fetch(`${operator.url}${url}`, { method, headers: { ...headers } })
    return (await answer.json()) as { Arn?: string; Code?: string }
  }
  assert.equal((await who()).Arn, `acs:ram::${account}:user/alice`)
  const listed = await operator.do('ram', 'key', 'list', '--user', 'alice')
  assert.match(listed, new RegExp(`^${key} +alice .* from 127\\.0\\.0\\.1$`, 'm'))
  assert.ok(!listed.includes(secret))
  assert.equal(
    withoutChance(await operator.do('ram', 'key', 'disable', key)),
    'Switched off access key RWKEY (revision N).\n',
  )
  assert.equal((await who()).Code, 'InvalidAccessKeyId.Inactive')
  await operator.do('ram', 'key', 'enable', key)
  assert.equal(
    withoutChance(await operator.do('ram', 'key', 'delete', key)),
    'Deleted access key RWKEY (revision N).\n',
  )
  assert.equal((await who()).Code, 'InvalidAccessKeyId.NotFound')
  assert.match(await operator.do('ram', 'key', 'create', '--of-account'), /of the account\./)
  await refused(['key', 'create'], 2, 'ringwall ram key create: expected USER or --of-account')
  await refused(['key', 'create', 'alice', '--of-account'], 2, 'ringwall ram key create: expected USER or --of-account')
  await refused(['key', 'create', 'nobody'], 4, /nobody/)
})

test('simulate says who decides', async () => {
  await operator.do('sg', 'create', 'sg-web')
  const ask = async (...args: readonly string[]) => {
    const { exitCode, stdout } = await run(['ram', 'simulate', 'alice', ...args])
    return `${exitCode} ${stdout}`
  }
  const name = `acs:ecs:local:${account}:securitygroup/sg-web`
  assert.equal(
    await ask('ecs:AuthorizeSecurityGroup', 'sg-web', '--from', '198.18.7.1'),
    [
      `0 alice may ecs:AuthorizeSecurityGroup on ${name}.`,
      '',
      '         EFFECT  POLICY  TYPE    STATEMENT  FROM',
      'decides  Allow   office  Custom  1          group ops',
      '',
    ].join('\n'),
  )
  assert.equal(
    await ask('ecs:AuthorizeSecurityGroup', 'sg-web'),
    [
      `1 alice may not ecs:AuthorizeSecurityGroup on ${name}: a statement denies it.`,
      '',
      '         EFFECT  POLICY  TYPE    STATEMENT  FROM',
      'decides  Deny    office  Custom  2          group ops',
      'speaks   Allow   office  Custom  1          group ops',
      '',
    ].join('\n'),
  )
  assert.match(
    await ask('ram:DeleteUser', 'user/alice', '--from', '198.18.7.1'),
    /^1 alice may not ram:DeleteUser on acs:ram::1000000000000000:user\/alice: no statement allows it\.\n$/,
  )
  await refused(['simulate', 'alice', 'Authorize'], 4, /ecs:AuthorizeSecurityGroup/)
  await refused(['simulate', 'nobody', 'ecs:X'], 4, /nobody/)
})

test('a user’s token may what his policies say', async () => {
  const made = await operator.do('token', 'create', 'alice-cli', '--user', 'Alice', '--json')
  const { token, apiToken } = JSON.parse(made)
  assert.deepEqual(apiToken.user, { accountId: account, userName: 'alice' })
  const own = await run(['ram', 'user', 'list', '--token', token])
  // Of the office alone, and this is not it.
  assert.equal(own.exitCode, 4)
  await ram('group', 'detach', 'ops', 'office')
  assert.equal((await run(['ram', 'user', 'list', '--token', token])).exitCode, 0)
  assert.equal((await run(['ram', 'user', 'delete', 'alice', '--token', token])).exitCode, 4)
  assert.equal((await run(['sg', 'list', '--token', token])).exitCode, 4)
  assert.match(await operator.do('token', 'list'), /^token-\w+ +alice-cli +user alice/m)
  const both = await run(['token', 'create', 'x', '--user', 'alice', '--write'])
  assert.equal(both.exitCode, 2)
  assert.equal((await run(['token', 'create', 'x', '--user', 'nobody'])).exitCode, 4)
})

test('nouns that there are not', async () => {
  await refused([], 2, 'ringwall ram: missing NOUN, expected user, group, policy, role, key, simulate')
  await refused(
    ['user', 'show', 'nobody'],
    4,
    /^Cannot find user "nobody": there is none\n"ringwall ram user list" shows those there are\.\n$/,
  )
  await refused(
    ['key', 'disable', 'RWnone'],
    4,
    /^Cannot find access key of a user "RWnone": there is none\n"ringwall ram key list" shows those there are\.\n$/,
  )
  await refused(['usr'], 2, 'ringwall ram: unknown noun "usr"; did you mean "user"?')
  await refused(['user'], 2, /^ringwall ram user: missing VERB, expected list, show, create/)
  await refused(['user', 'make'], 2, /^ringwall ram user: unknown verb "make"/)
  const { stdout } = await run(['ram', 'user', 'create', '--help'])
  assert.match(stdout, /^usage: ringwall ram user create NAME \[FLAGS\]/)
  assert.match((await run(['ram', '--help'])).stdout, /^ {2}simulate +say whether a user may/m)
})
