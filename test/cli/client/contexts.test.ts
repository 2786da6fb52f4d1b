/** `ringwall context`, its file, and which daemon a command speaks to. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, beforeEach, suite, test } from 'node:test'
import { contextsPath } from '../../../cli/client/contexts.ts'
import { defaultUrl } from '../../../cli/client/own-daemon.ts'
import { findTarget } from '../../../cli/client/target.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { runRingwallHere } from '../../support/operator.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-contexts-'))
after(() => rm(folder, { recursive: true }))

const secret = 'S'.repeat(43)
const token = `rwt_token-a_${secret}`
const otherToken = `rwt_token-b_${'T'.repeat(43)}`
let turn = 0
let path = ''

beforeEach(() => {
  process.env.XDG_CONFIG_HOME = join(folder, `config-${++turn}`)
  for (const name of ['RINGWALL_URL', 'RINGWALL_TOKEN', 'RINGWALL_CONTEXT']) delete process.env[name]
  path = contextsPath(process.env)
})

const context = (...args: readonly string[]) => runRingwallHere(['context', ...args])
const done = async (...args: readonly string[]) => {
  const { exitCode, stdout, stderr } = await context(...args)
  assert.deepEqual([exitCode, stderr], [0, ''])
  return stdout
}

suite('where the file is', () => {
  for (const [name, env, expected] of [
    ['XDG_CONFIG_HOME', { XDG_CONFIG_HOME: '/x', HOME: '/h' }, '/x/ringwall/contexts.json'],
    ['HOME', { HOME: '/h' }, '/h/.config/ringwall/contexts.json'],
    [
      'a relative XDG_CONFIG_HOME is passed over',
      { XDG_CONFIG_HOME: 'x', HOME: '/h' },
      '/h/.config/ringwall/contexts.json',
    ],
  ] as const) {
    test(name, () => assert.equal(contextsPath(env), expected))
  }
})

test('added, listed, used and removed; the token is never printed', async () => {
  const printed = [
    await done(
      'add',
      'prod',
      '--url',
      'https://ringwall.example:9480/',
      '--token',
      token,
      '--account',
      '1000000000000000',
    ),
    await done('add', 'lab', '--url', 'http://127.0.0.1:1', '--token', otherToken),
    await done('list'),
    await done('use', 'lab'),
    await done('list'),
    await done('list', '--json'),
    await done('add', 'lab', '--url', 'http://127.0.0.1:1', '--json'),
    await done('show', 'lab'),
    await done('remove', 'prod'),
    await done('list'),
  ]
  assert.deepEqual(printed.slice(0, 5), [
    'Made context prod. It is the current one.\n',
    'Made context lab. Use it with: ringwall context use lab.\n',
    [
      'CURRENT  CONTEXT  URL                            TOKEN         ACCOUNT',
      '*        prod     https://ringwall.example:9480  rwt_token-a_…  1000000000000000',
      '         lab      http://127.0.0.1:1             rwt_token-b_…  -',
      '',
    ]
      .join('\n')
      .replace('TOKEN         ', 'TOKEN          '),
    'Commands speak to lab from now on.\n',
    printed[4],
  ])
  assert.match(printed[4]!, /^\* +lab /m)
  assert.match(printed[7]!, /^token +rwt_token-b_…, from the context$/m)
  assert.match(
    printed[7]!,
    /^may +unknown: Cannot reach the daemon at http:\/\/127\.0\.0\.1:1: nothing listens there$/m,
  )
  assert.equal(printed[8], 'Removed context prod.\n')
  for (const text of printed) assert.ok(!text.includes(secret) && !text.includes('TTTT'), text)
})

test('the file is for its owner alone, and never torn', async () => {
  await done('add', 'prod', '--url', 'https://ringwall.example', '--token', token)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(dirname(path))).mode & 0o777, 0o700)
  const before = await readFile(path, 'utf8')
  // What a write that was killed leaves behind is overwritten by the next one, and was never the file.
  await writeFile(`${path}.new`, '{"contexts": {"pr')
  assert.match(await done('list'), /prod/)
  await done('add', 'lab', '--url', 'https://lab.example')
  assert.deepEqual(await readdir(dirname(path)), ['contexts.json'])
  assert.notEqual(await readFile(path, 'utf8'), before)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a file that others may read is told of; the command goes on', async () => {
  await done('add', 'prod', '--url', 'http://127.0.0.1:1', '--token', token)
  await chmod(path, 0o644)
  const { exitCode, stderr } = await runRingwallHere(['sg', 'list'])
  assert.equal(exitCode, 5)
  assert.equal(stderr.split('\n')[0], `warning: others may read the tokens of "${path}"; chmod 600 it`)
})

test('changed: what is not said stays, but a token is not taken to another daemon', async () => {
  await done('add', 'prod', '--url', 'https://ringwall.example', '--token', token, '--account', '1000000000000000')
  await done('add', 'prod', '--account', '2000000000000000')
  const read = async () => JSON.parse(await readFile(path, 'utf8')).contexts.prod
  assert.deepEqual(await read(), {
    url: 'https://ringwall.example',
    token,
    ca: null,
    fingerprint: null,
    accountId: '2000000000000000',
  })
  await done('add', 'prod', '--account', '')
  assert.equal((await read()).accountId, null)
  await done('add', 'prod', '--account', '2000000000000000')
  await done('add', 'prod', '--url', 'https://other.example')
  assert.deepEqual(await read(), {
    url: 'https://other.example',
    token: null,
    ca: null,
    fingerprint: null,
    accountId: null,
  })
})

test('a token from a file or standard input; a CA; a fingerprint as openssl prints it', async () => {
  const file = join(folder, 'token')
  await writeFile(file, `${token}\n`)
  const { certificate } = await makeAuthority()
  const ca = join(folder, 'ca.pem')
  await writeFile(ca, certificate)
  await done('add', 'a', '--url', 'https://a.example', '--token-file', file, '--ca', ca)
  const fromStdin = await runRingwallHere(['context', 'add', 'b', '--url', 'https://b.example', '--token-file', '-'], {
    stdin: `${otherToken}\n`,
  })
  assert.equal(fromStdin.exitCode, 0)
  const hex = 'ab'.repeat(32)
  await done(
    'add',
    'c',
    '--url',
    'https://c.example',
    '--fingerprint',
    `sha256 Fingerprint=${hex.toUpperCase().match(/../g)!.join(':')}`,
  )
  const { contexts } = JSON.parse(await readFile(path, 'utf8'))
  assert.deepEqual([contexts.a.token, contexts.a.ca], [token, certificate])
  assert.equal(contexts.b.token, otherToken)
  assert.equal(contexts.c.fingerprint, hex)
})

suite('refused', () => {
  const url = ['--url', 'https://ringwall.example']
  for (const [args, message] of [
    [['add', 'x'], 'missing --url'],
    [['add', 'a b', ...url], 'NAME is "a b", expected up to 64 letters, digits, "-", "_" or "."'],
    [
      ['add', 'x', '--url', 'ringwall.example'],
      'URL is "ringwall.example", expected https://HOST:PORT, http://127.0.0.1:PORT or unix:/PATH',
    ],
    [['add', 'x', '--url', 'https://u:p@ringwall.example'], 'URL is "https://u:p@ringwall.example", expected'],
    [
      ['add', 'x', '--url', 'http://ringwall.example', '--token', token],
      'will not send a token to http://ringwall.example in the clear',
    ],
    [
      ['add', 'x', '--url', 'http://127.0.0.1.example', '--token', token],
      'will not send a token to http://127.0.0.1.example in the clear',
    ],
    [['add', 'x', ...url, '--token', 'abc'], '--token has no API token, expected rwt_ID_SECRET'],
    [['add', 'x', ...url, '--token', token, '--token-file', 'f'], 'expected --token or --token-file'],
    [['add', 'x', ...url, '--ca', 'f', '--fingerprint', 'f'], 'expected --ca or --fingerprint'],
    [['add', 'x', ...url, '--fingerprint', 'abcd'], '--fingerprint is "abcd", expected 64 hexadecimal digits'],
    [['add', 'x', ...url, '--account', 'shop'], '--account is "shop", expected 16 digits'],
    [['use', 'x'], 'no such context "x"; make one with "ringwall context add"'],
    [['remove', 'x'], 'no such context "x"; make one with "ringwall context add"'],
  ] as const) {
    test(args.join(' ').replaceAll(token, 'TOKEN'), async () => {
      const { exitCode, stdout, stderr } = await context(...args)
      assert.deepEqual([exitCode, stdout], [2, ''])
      assert.ok(stderr.includes(message), stderr)
      assert.ok(!stderr.includes(secret))
    })
  }

  test('a slip of the finger is recognized', async () => {
    await done('add', 'prod', ...url)
    assert.match((await context('use', 'prodd')).stderr, /no such context "prodd"; did you mean "prod"\?/)
  })

  test('a file that is no certificate, and one that is not there', async () => {
    const file = join(folder, 'no.pem')
    await writeFile(file, 'no')
    assert.equal(
      (await context('add', 'x', ...url, '--ca', file)).stderr,
      `Cannot read CA "${file}": expected a certificate in PEM\n`,
    )
    assert.match(
      (await context('add', 'x', ...url, '--ca', `${file}.not`)).stderr,
      /^Cannot read ".*no\.pem\.not": there is no such file\n$/,
    )
  })

  for (const torn of ['', '{', '[]', 'null', '{"contexts": {"a": {"url": 5}}}', '{"contexts": {"a": null}}']) {
    test(`a torn file: ${torn || 'empty'}`, async () => {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, torn)
      const { exitCode, stderr } = await context('list')
      assert.equal(exitCode, 2)
      assert.match(
        stderr,
        /^Cannot read contexts ".*contexts\.json": expected what "ringwall context add" writes; move the file away/,
      )
      assert.equal(await readFile(path, 'utf8'), torn)
    })
  }

  test('a folder that cannot be made', async () => {
    const file = join(folder, 'a-file')
    await writeFile(file, '')
    process.env.XDG_CONFIG_HOME = file
    const { exitCode, stderr } = await context('add', 'x', ...url)
    assert.notEqual(exitCode, 0)
    assert.match(stderr, /^Cannot (read|write) contexts ".*a-file\/ringwall\/contexts\.json": /)
  })
})

suite('which daemon and which token', () => {
  const url = 'https://prod.example'
  const rows: readonly (readonly [
    string,
    Parameters<typeof findTarget>[0],
    Readonly<Record<string, string>>,
    string,
    string | null,
  ])[] = [
    ['the current context', {}, {}, `${url}/`, token],
    ['another context', { context: 'lab' }, {}, 'https://lab.example/', otherToken],
    ['RINGWALL_CONTEXT', {}, { RINGWALL_CONTEXT: 'lab' }, 'https://lab.example/', otherToken],
    [
      'a flag before the environment',
      { context: 'prod' },
      { RINGWALL_CONTEXT: 'lab', RINGWALL_URL: 'https://env.example', RINGWALL_TOKEN: otherToken },
      `${url}/`,
      token,
    ],
    [
      'RINGWALL_URL gets no token of a context',
      {},
      { RINGWALL_URL: 'https://env.example' },
      'https://env.example/',
      null,
    ],
    [
      'RINGWALL_URL and RINGWALL_TOKEN',
      {},
      { RINGWALL_URL: 'https://env.example', RINGWALL_TOKEN: otherToken },
      'https://env.example/',
      otherToken,
    ],
    ['--url gets no token of a context', { url: 'https://flag.example' }, {}, 'https://flag.example/', null],
    ['--url that is the one of the context', { url }, {}, `${url}/`, token],
    ['--token', { token: otherToken }, {}, `${url}/`, otherToken],
    ['an empty variable is none', {}, { RINGWALL_CONTEXT: '', RINGWALL_URL: '', RINGWALL_TOKEN: '' }, `${url}/`, token],
    ['a socket', { url: 'unix:/run/ringwall.sock', token }, {}, 'unix:/run/ringwall.sock', token],
  ]
  for (const [name, flags, env, expectedUrl, expectedToken] of rows) {
    test(name, async () => {
      await done('add', 'prod', '--url', url, '--token', token)
      await done('add', 'lab', '--url', 'https://lab.example', '--token', otherToken)
      const target = await findTarget(flags, { ...process.env, ...env })
      assert.deepEqual([target.url.href, target.token], [expectedUrl, expectedToken])
    })
  }

  test('what goes before the current context is said', async () => {
    await done('add', 'prod', '--url', url, '--token', token)
    process.env.RINGWALL_URL = 'http://127.0.0.1:1'
    try {
      const shown = await done('show')
      assert.match(shown, /^context +-$/m)
      assert.match(shown, /^URL +http:\/\/127\.0\.0\.1:1, from RINGWALL_URL$/m)
      assert.equal(
        await done('use', 'prod'),
        'Commands speak to prod from now on. But RINGWALL_URL is set here, and goes before it: unset RINGWALL_URL.\n',
      )
    } finally {
      delete process.env.RINGWALL_URL
    }
    assert.match(
      await done('show', '--token', 'rwt_token-a_'.padEnd(55, 'a')),
      /^context +prod\nURL +https:\/\/prod\.example, from the context$/m,
    )
  })

  test('without anything: the daemon of this host', async () => {
    const target = await findTarget({}, process.env)
    assert.equal(target.url.origin, defaultUrl)
    assert.equal(target.firstTokenPath, '/var/lib/ringwall-daemon/first-token')
    assert.ok(target.token === null || target.tokenSource === target.firstTokenPath)
  })

  const listens = [
    ['127.0.0.1:9480', false, 'http://127.0.0.1:9480/'],
    ['127.0.0.1:9481', false, 'http://127.0.0.1:9481/'],
    ['0.0.0.0:9480', true, 'https://127.0.0.1:9480/'],
    ['[::]:9480', true, 'https://[::1]:9480/'],
    ['198.18.0.7:9480', true, 'https://198.18.0.7:9480/'],
    ['unix:/run/ringwall.sock', false, 'unix:/run/ringwall.sock'],
  ] as const
  for (const [listen, hasTls, expected] of listens) {
    test(`without anything, where the daemon of this host listens at ${listen}`, async () => {
      const home = join(folder, `daemon-${turn}`)
      await mkdir(home)
      await writeFile(join(home, 'first-token'), `${token}\n`)
      const { certificate } = await makeAuthority()
      await writeFile(join(home, 'tls.crt'), certificate)
      const tls = hasTls ? 'tlsCertificate: tls.crt\ntlsKey: tls.key\n' : ''
      await writeFile(join(home, 'daemon.yaml'), `listen: "${listen}"\n${tls}dataDir: .\n`)
      const env = { ...process.env, RINGWALL_DAEMON_CONFIG: join(home, 'daemon.yaml') }
      const target = await findTarget({}, env)
      const fingerprint = new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
      assert.deepEqual(
        [target.url.href, target.token, target.fingerprint],
        [expected, token, hasTls ? fingerprint : null],
      )
      // The same daemon by its address; and no token of it for another.
      assert.equal((await findTarget({ url: expected }, env)).token, token)
      const other = await findTarget({ url: 'https://other.example' }, env)
      assert.deepEqual([other.token, other.fingerprint], [null, null])
    })
  }
})
