/**
 * docs/ecs-api: the table of actions is that of the code, and the programs on the pages are run, by TLS and with the real
 * clients. docs/access-control.md: its tables are those of the code, and its policies do what the page says.
 */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { sourceIpValues } from '../../daemon/ram/conditions.ts'
import { decide } from '../../daemon/ram/evaluate.ts'
import { readPolicyDocument } from '../../daemon/ram/policy-document.ts'
import { withAccessTables } from '../../daemon/routes/describe-access.ts'
import { rpcActions } from '../../daemon/rpc/actions.ts'
import { actionsPage } from '../../daemon/rpc/describe.ts'
import { publishedActions } from '../../daemon/rpc/published.ts'
import { issue, makeAuthority } from '../support/certificates.ts'
import { type Operator, startOperator } from '../support/operator.ts'

const docs = join(import.meta.dirname, '../../docs')
const page = (name: string) => readFileSync(join(docs, name), 'utf8')
const blocks = (text: string, kind: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block)

suite('the table of actions', () => {
  const table = page('ecs-api/actions.md')

  test('is what npm run generate makes of the code', () => assert.equal(table, actionsPage(rpcActions)))

  test('has every action once in its product', () => {
    const sections = table.split(/^## /m).slice(1)
    const listed = sections.flatMap(section => {
      const [, product = ''] = /^[^\n]*\(`([\w-]+)`, /.exec(section) ?? []
      return [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => `${product} ${name}`)
    })
    assert.deepEqual(listed.toSorted(), rpcActions.map(({ product, name }) => `${product} ${name}`).sort())
  })

  test('says of each what must be allowed, or why there is none', () => {
    const rows = [...table.matchAll(/^\| `\w+` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$/gm)]
    assert.equal(rows.length, rpcActions.length)
    for (const [row, does = '', allowed = '', differs = ''] of rows) {
      assert.ok(does.length > 3, row)
      assert.ok(allowed === 'nothing' || /^`[\w-]+:\w+` on `/.test(allowed) || differs.startsWith('**not yet**: '), row)
    }
  })

  test('counts published actions, each once', () => {
    for (const names of Object.values(publishedActions)) assert.equal(new Set(names).size, names.length)
    const [, all, work, percent] = /^Of the (\d+) published .* (\d+) work: (\d+) %\.$/m.exec(table) ?? []
    assert.ok(Number(work) <= Number(all))
    assert.equal(Number(percent), Math.floor((100 * Number(work)) / Number(all)))
  })

  test('and every page of a client is in the list of pages', () => {
    const readme = page('ecs-api/README.md')
    for (const file of readdirSync(join(docs, 'ecs-api'))) {
      if (file !== 'README.md') assert.ok(readme.includes(`(${file})`), file)
    }
  })
})

/** The clients give up after 3 s, which on a busy machine an answer may take. */
const patient = `
  const httpx = require('httpx')
  const { request } = httpx
  const timeouts = { timeout: 60_000, readTimeout: 60_000, connectTimeout: 60_000 }
  httpx.request = (url, options) => request(url, { ...options, ...timeouts })
`

suite('programs of the pages', () => {
  let operator: Operator
  let folder: string
  let env: NodeJS.ProcessEnv
  before(async () => {
    const authority = await makeAuthority()
    const { certificate, privateKey } = await issue(authority, { usage: 'server', addresses: ['127.0.0.1'] })
    operator = await startOperator({ tls: { certificate, key: privateKey } })
    folder = join(operator.folder, 'client')
    await mkdir(folder)
    await symlink(join(docs, '../node_modules'), join(folder, 'node_modules'))
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, authority.certificate)
    const key = JSON.parse(await readFile(join(operator.folder, 'daemon/first-access-key.json'), 'utf8'))
    const patience = join(folder, 'patience.cjs')
    await writeFile(patience, patient)
    env = {
      ...process.env,
      NODE_OPTIONS: `--require ${patience}`,
      NODE_EXTRA_CA_CERTS: ca,
      RINGWALL_ENDPOINT: new URL(operator.url).host,
      ALIBABA_CLOUD_ACCESS_KEY_ID: key.accessKeyId,
      ALIBABA_CLOUD_ACCESS_KEY_SECRET: key.accessKeySecret,
    }
  })
  after(() => operator[Symbol.asyncDispose]())

  for (const name of ['node-sdk.md', 'pop-core.md']) {
    test(name, async () => {
      const [program = ''] = blocks(page(`ecs-api/${name}`), 'js program')
      const [output] = blocks(page(`ecs-api/${name}`), 'text output')
      const file = join(folder, `${name}.cjs`)
      await writeFile(file, program)
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, env })
      assert.equal(stdout, output)
    })
  }
})

test('what Terraform is given is what it reads', t => {
  const [program = ''] = blocks(page('ecs-api/terraform.md'), 'hcl')
  try {
    execFileSync('terraform', ['version'], { stdio: 'ignore' })
  } catch {
    return t.skip('needs terraform')
  }
  assert.equal(execFileSync('terraform', ['fmt', '-'], { input: program, encoding: 'utf8' }), program)
})

suite('the page on access control', () => {
  const text = page('access-control.md')
  const policies = blocks(text, 'json policy').map(block => ({
    name: 'the page',
    document: readPolicyDocument(block, 'identity'),
  }))
  const everything = {
    name: 'System/AdministratorAccess',
    document: readPolicyDocument(
      '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
      'identity',
    ),
  }

  test('has tables that npm run generate makes', () => assert.equal(text, withAccessTables(text)))

  const rows: readonly [policy: number, action: string, from: string, tag: string, isAllowed: boolean][] = [
    [0, 'ecs:AuthorizeSecurityGroup', '198.18.0.1', '', false],
    [0, 'ecs:AuthorizeSecurityGroupEgress', '198.18.0.1', '', false],
    [0, 'ecs:RevokeSecurityGroup', '198.18.0.1', '', false],
    [0, 'ecs:RevokeSecurityGroupEgress', '198.18.0.1', '', false],
    [0, 'ecs:ModifySecurityGroupRule', '198.18.0.1', '', false],
    [0, 'ecs:ModifySecurityGroupEgressRule', '198.18.0.1', '', false],
    [0, 'ecs:CreateSecurityGroup', '198.18.0.1', '', true],
    [0, 'ecs:ModifySecurityGroupAttribute', '198.18.0.1', '', true],
    [1, 'ecs:DescribeSecurityGroups', '198.18.0.1', '', true],
    [1, 'ecs:DescribeSecurityGroups', '2001:db8::7', '', true],
    [1, 'ecs:DescribeSecurityGroups', '198.20.0.1', '', false],
    [1, 'ecs:DescribeSecurityGroups', 'local socket', '', false],
    [2, 'ecs:AuthorizeSecurityGroup', '198.20.0.1', 'web', true],
    [2, 'ecs:AuthorizeSecurityGroup', '198.20.0.1', 'db', false],
    [2, 'ecs:DescribeSecurityGroups', '198.20.0.1', 'db', true],
    [2, 'ecs:DeleteSecurityGroup', '198.20.0.1', 'web', false],
  ]
  test('has three policies', () => assert.equal(policies.length, 3))
  for (const [index, action, from, tag, isAllowed] of rows) {
    test(`${index}: ${action} from ${from} ${tag} is ${isAllowed ? 'allowed' : 'denied'}`, () => {
      // That of the corporate network takes away alone.
      const identity = index === 1 ? [everything, policies[1]!] : [policies[index]!]
      const access = decide(
        { kind: 'policies', identity, session: null },
        {
          action,
          resources: [
            {
              name: 'acs:ecs:local:1000000000000000:securitygroup/sg-1',
              context: new Map(tag === '' ? [] : [['ecs:tag/team', [tag]]]),
            },
          ],
          context: new Map([['acs:sourceip', sourceIpValues(from)]]),
        },
      )
      assert.equal(access.isAllowed, isAllowed, JSON.stringify(access))
    })
  }
})
