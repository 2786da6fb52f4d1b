/** A daemon behind TLS, one on a socket, and the environment and contexts that lead there. */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { webcrypto, X509Certificate } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import { startOperator } from '../../support/operator.ts'

/** For 127.0.0.1, signed by itself. Both PEM. */
async function makeCertificate(): Promise<{ readonly certificate: string; readonly key: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=ringwall',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`
  return { certificate: `${made.toString('pem')}\n`, key }
}

suite('a daemon with a certificate that no system knows', async () => {
  const tls = await makeCertificate()

  test('is refused until a context says which CA or certificate it has', async () => {
    await using operator = await startOperator({ tls })
    const before = await operator.run(['sg', 'list'])
    assert.equal(before.exitCode, 5)
    assert.match(
      before.stderr,
      /its certificate is of no CA that is known here\nName the CA, or the certificate itself: ringwall context add /,
    )
    const ca = join(operator.folder, 'ca.pem')
    await writeFile(ca, tls.certificate)
    const fingerprint = new X509Certificate(tls.certificate).fingerprint256
    const { RINGWALL_TOKEN: token = '' } = process.env
    delete process.env.RINGWALL_URL
    delete process.env.RINGWALL_TOKEN
    await operator.do('context', 'add', 'by-ca', '--url', operator.url, '--token', token, '--ca', ca)
    await operator.do(
      'context',
      'add',
      'by-print',
      '--url',
      operator.url,
      '--token',
      token,
      '--fingerprint',
      fingerprint,
    )
    for (const context of ['by-ca', 'by-print']) {
      assert.match(await operator.do('context', 'show', context), /^may +write all \(token "first"\)$/m)
      await operator.do('sg', 'create', `sg-${context}`, '--context', context)
    }
    assert.match(await operator.do('sg', 'list', '--context', 'by-print'), /^sg-by-ca [\s\S]*^sg-by-print /m)
  })

  test('plain HTTP to it says so', async () => {
    await using operator = await startOperator({ tls })
    const { exitCode, stderr } = await operator.run(['sg', 'list', '--url', operator.url.replace('https:', 'http:')])
    assert.equal(exitCode, 5)
    assert.match(stderr, /^Cannot reach the daemon at http:\/\/127\.0\.0\.1:\d+: [\s\S]*the URL is https:\/\/\.\n$/)
  })

  test('is known on its own host by its configuration, and a new one when the daemon has taken it', async () => {
    await using operator = await startOperator({ tls })
    const file = (name: string) => join(operator.folder, name)
    await writeFile(file('tls.crt'), tls.certificate)
    const { host } = new URL(operator.url)
    const settings = `listen: ${host}\ndataDir: daemon\ntlsCertificate: tls.crt\ntlsKey: tls.key\n`
    await writeFile(file('daemon.yaml'), settings)
    delete process.env.RINGWALL_URL
    const { RINGWALL_TOKEN: token = '' } = process.env
    delete process.env.RINGWALL_TOKEN
    process.env.RINGWALL_DAEMON_CONFIG = file('daemon.yaml')
    try {
      assert.match(await operator.do('context', 'show'), /^token +rwt_token-\S+…, from \S*\/daemon\/first-token$/m)
      await operator.do('sg', 'create', 'sg-here')
      await rm(file('daemon/first-token'))
      const { stderr } = await operator.run(['sg', 'list'])
      const [, add = ''] = /ringwall (context add NAME --url \S+ --token-file FILE)/.exec(stderr) ?? []
      await writeFile(file('token'), token)
      await operator.do(...add.replace('NAME', 'here').replace('FILE', file('token')).split(' '))
      assert.match(await operator.do('sg', 'list'), /^sg-here /m)
      await writeFile(file('tls.crt'), (await makeCertificate()).certificate)
      assert.match((await operator.run(['sg', 'list'])).stderr, /not the expected one\n.*systemctl reload ringwalld/)
    } finally {
      delete process.env.RINGWALL_DAEMON_CONFIG
    }
  })
})

test('a daemon on a socket', async () => {
  await using operator = await startOperator({ onSocket: true })
  await operator.do('sg', 'create', 'sg-web')
  const { RINGWALL_TOKEN: token = '' } = process.env
  await operator.do('context', 'add', 'here', '--url', operator.url, '--token', token)
  assert.match(await operator.do('sg', 'list', '--context', 'here'), /^sg-web /m)
  const { exitCode, stderr } = await operator.run(['sg', 'list', '--url', `${operator.url}.not`])
  assert.equal(exitCode, 5)
  assert.match(
    stderr,
    /^Cannot reach the daemon at unix:.*api\.sock\.not: there is no such socket, or it is not for you\n/,
  )
})

test('a context with an account: lists are of it, new objects belong to it', async () => {
  await using operator = await startOperator()
  await operator.do('account', 'create', 'shop', '--id', '2000000000000000')
  await operator.do(
    'context',
    'add',
    'shop',
    '--url',
    operator.url,
    '--token',
    operator.token,
    '--account',
    '2000000000000000',
  )
  await operator.do('sg', 'create', 'sg-shop', '--context', 'shop')
  await operator.do('sg', 'create', 'sg-other', '--account', '1000000000000000')
  assert.doesNotMatch(await operator.do('sg', 'list', '--context', 'shop'), /sg-other/)
  assert.match(await operator.do('sg', 'list', '--context', 'shop', '--account', 'default'), /sg-other/)
})
