import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { bodyOf } from '../../../common/notify/notification.ts'
import { parseSecret, parseWebhookUrl, post, readSecretFile, signatureOf } from '../../../common/notify/webhook.ts'
import { notification, startReceiver } from '../../support/notifications.ts'

/** That of the scheme's own test suite. */
const secret = parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
const never = new AbortController().signal
const nowMs = 1_614_265_330_987

test('the signature is that of the scheme’s own example', () => {
  assert.equal(
    signatureOf(secret, {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: 1_614_265_330,
      body: '{"test": 2432232314}',
    }),
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

describe('a webhook', () => {
  test('is signed', async () => {
    await using receiver = await startReceiver()
    const told = notification('n-1')
    await post({ url: receiver.url, secret }, told, never, nowMs)
    const [{ headers, body }] = (await receiver.count(1)) as [(typeof receiver.received)[0]]
    assert.equal(body, bodyOf(told))
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['webhook-id'], 'n-1')
    assert.equal(headers['webhook-timestamp'], '1614265330')
    assert.equal(headers['webhook-signature'], signatureOf(secret, { id: 'n-1', timestamp: 1_614_265_330, body }))
  })

  test('without a secret has no signature', async () => {
    await using receiver = await startReceiver()
    await post({ url: receiver.url, secret: null }, notification('n-1'), never, nowMs)
    assert.equal(receiver.received[0]!.headers['webhook-signature'], undefined)
  })

  const refusals: readonly (readonly [string, RequestListener, RegExp])[] = [
    [
      'a refusal, with its reason',
      (_, response) => void response.writeHead(401).end('bad\u0007\nsignature'),
      /^answer 401: bad signature$/,
    ],
    ['a refusal without a word', (_, response) => void response.writeHead(500).end(), /^answer 500$/],
    [
      'a redirect',
      (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      /^answer 302$/,
    ],
    ['no answer', () => {}, /^no answer within 200 ms$/],
    ['a connection that is cut', request => void request.socket.destroy(), /other side closed/],
    [
      'a refusal without end',
      (_, response) => {
        response.writeHead(500)
        const writing = setInterval(() => response.write('x'.repeat(10_000)), 1)
        response.on('close', () => clearInterval(writing))
      },
      /^answer 500: x{500}$/,
    ],
  ]
  for (const [name, listener, expected] of refusals) {
    test(`fails by ${name}`, async () => {
      await using receiver = await startReceiver(listener)
      const timeoutMs = name === 'no answer' ? 200 : 60_000
      const sent = post({ url: receiver.url, secret }, notification('n-1'), never, nowMs, timeoutMs)
      await assert.rejects(sent, { message: expected })
      // Once; the time may be over before the receiver has read it.
      assert.ok(receiver.received.length <= 1)
      if (name !== 'no answer') assert.equal(receiver.received.length, 1)
    })
  }

  test('is not waited for any longer when told so', async () => {
    await using receiver = await startReceiver(() => {})
    const abort = new AbortController()
    const sent = post({ url: receiver.url, secret }, notification('n-1'), abort.signal, nowMs)
    await receiver.count(1)
    abort.abort()
    await assert.rejects(sent)
  })

  test('says who does not listen', async () => {
    const sent = post({ url: 'http://127.0.0.1:1/', secret }, notification('n-1'), never, nowMs)
    await assert.rejects(sent, { message: /bad port|ECONNREFUSED/ })
  })
})

describe('what is configured as its address', () => {
  test('taken', () => {
    assert.equal(parseWebhookUrl('https://ops.example/hook?x=1'), 'https://ops.example/hook?x=1')
    assert.equal(parseWebhookUrl('http://[2001:db8::9]:8080'), 'http://[2001:db8::9]:8080/')
  })
  for (const [text, expected] of [
    ['ops.example/hook', /no URL for a webhook/],
    ['ftp://ops.example/', /no URL for a webhook/],
    ['https://me:secret@ops.example/', /^the URL for a webhook at "ops.example" has a user or password in it/],
  ] as const) {
    test(`refused: ${text}`, () => assert.throws(() => parseWebhookUrl(text), { message: expected }))
  }
})

describe('its secret', () => {
  for (const text of [
    '',
    'whsec_',
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'whsec_c2hvcnQ=',
    'whsec_not base64 at all!',
    `whsec_${'A'.repeat(88)}`,
  ]) {
    test(`refused: "${text}"`, () => {
      assert.throws(
        () => parseSecret(text),
        ({ message }: Error) =>
          message.includes('24 to 64') && (text === '' || !message.includes(text.slice(6, 20) || '\n')),
      )
    })
  }

  test('is read from a file that its owner alone can read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-secret-'))
    after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'secret')
    await writeFile(path, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n', { mode: 0o600 })
    assert.deepEqual(await readSecretFile(path), secret)
    await chmod(path, 0o640)
    await assert.rejects(readSecretFile(path), {
      message: /Cannot take the secret from ".*secret": others .* \(mode 0640\)/,
    })
    await assert.rejects(readSecretFile(join(folder, 'none')), {
      message: /Cannot take the secret from ".*none": ENOENT/,
    })
  })
})
