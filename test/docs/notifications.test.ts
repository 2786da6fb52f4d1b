/** docs/notifications.md against the code: kinds, variables, figures, log messages, and the snippet that verifies. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { notifySettings, openNotify } from '../../common/config/notify.ts'
import { flagOf } from '../../common/config/setting.ts'
import { bodyOf, variablesOf } from '../../common/notify/notification.ts'
import { notifierLimits } from '../../common/notify/notifier.ts'
import { post } from '../../common/notify/webhook.ts'
import { notificationKinds, notificationOf } from '../../wire/notification.ts'
import { makeEvent } from '../support/ddos.ts'
import { tableUnder } from '../support/markdown.ts'
import { startReceiver } from '../support/notifications.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/notifications.md'), 'utf8')
const event = makeEvent({ id: 'ddos-1' })
const told = notificationOf(event.changes[0]!, { event, addresses: ['198.18.0.2'], blackHole: null })
const quoted = (names: readonly string[]) => names.map(name => `\`${name}\``)
const firstCells = (heading: string) => tableUnder(page, heading).map(([first = '']) => first)

test('the page has every flag', () => {
  assert.deepEqual(firstCells('# Notifications'), quoted(Object.keys(notifySettings([], [])).map(flagOf)))
})

test('the page has every kind', () => assert.deepEqual(firstCells('## Kinds'), quoted(notificationKinds)))

test('the page has every field of the body', () => {
  const { data, ...others } = JSON.parse(bodyOf(told))
  const fields = [...Object.keys(others), ...Object.keys(data).map(field => `data.${field}`)]
  assert.deepEqual(firstCells('## What is sent').toSorted(), quoted(fields).sort())
})

test('the page has every variable', () => {
  const [, second = ''] = page.split('A command has these variables besides:')
  const rows = [...second.split('\n## ')[0]!.matchAll(/^\| (`RINGWALL_\w+`) \|/gm)].map(([, name]) => name)
  assert.deepEqual(rows.toSorted(), quoted(Object.keys(variablesOf(told))).sort())
})

test('its figures are those of the code', () => {
  const { firstDelayMs, mostDelayMs, attempts, oldestMs, pending, atOnce } = notifierLimits
  const { commandTimeoutMs, webhookTimeoutMs, maxDeadLetterBytes } = notifierLimits
  const words = page.replace(/\s+/g, ' ')
  for (const sentence of [
    `after ${firstDelayMs / 1000} s, then after twice as long each time up to ${mostDelayMs / 1000} s`,
    `After ${attempts} attempts`,
    `At most ${pending.toLocaleString('en')} wait`,
    `Up to ${atOnce} run at once`,
    `It has ${commandTimeoutMs / 1000} s`,
    `within ${webhookTimeoutMs / 1000} s`,
    `At ${maxDeadLetterBytes / 2 ** 20} MiB`,
  ]) {
    assert.ok(words.includes(sentence), sentence)
  }
  assert.equal(oldestMs, 6 * 3_600_000, 'six hours')
  // Three quarters of each delay, on average.
  const doublings = Math.ceil(Math.log2(mostDelayMs / firstDelayMs))
  const totalMs = 0.75 * (firstDelayMs * (2 ** doublings - 1) + (attempts - 1 - doublings) * mostDelayMs)
  assert.equal(Math.round(totalMs / 3_600_000), 5, 'some five hours')
})

test('every message the notifier logs is on the page with its level, and no other', () => {
  const logged = new Set<string>()
  for (const file of globSync('common/notify/*.ts', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, level, call = ''] of text.matchAll(/\blog\.(debug|info|warn|error)\(([\s\S]*?)\n? *\)\n/g)) {
      for (const [, message] of call.matchAll(/(?:^|, |,\s+)'([^']{2,})'/g)) logged.add(`${message} (${level})`)
    }
  }
  const described = tableUnder(page, '## Log messages').map(([message, level]) => `${message} (${level})`)
  assert.deepEqual(described.toSorted(), [...logged].sort())
})

describe('the snippet that verifies a webhook', async () => {
  const [, snippet = ''] = /^```js\n(.*?)^```$/ms.exec(page) ?? []
  const { isGenuine } = await import(`data:text/javascript,${encodeURIComponent(snippet)}`)
  const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`

  async function received(nowMs: number) {
    await using receiver = await startReceiver()
    const webhook = { url: receiver.url, secret: Buffer.alloc(32, 5) }
    await post(webhook, told, new AbortController().signal, nowMs)
    return receiver.received[0]!
  }

  test('takes what we send', async () => {
    const { headers, body } = await received(Date.now())
    assert.equal(isGenuine(secret, headers, body), true)
    const others = { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` }
    assert.equal(isGenuine(secret, others, body), true, 'also while secrets change')
  })

  test('refuses what is not ours, not whole, or old', async () => {
    const { headers, body } = await received(Date.now())
    assert.equal(isGenuine(secret, headers, body.replace('198.18.0.2', '198.18.0.3')), false)
    assert.equal(isGenuine(secret, { ...headers, 'webhook-id': 'another' }, body), false)
    assert.equal(isGenuine(secret, { ...headers, 'webhook-signature': undefined }, body), false)
    assert.equal(isGenuine(`whsec_${Buffer.alloc(32, 6).toString('base64')}`, headers, body), false)
    const old = await received(Date.now() - 600_000)
    assert.equal(isGenuine(secret, old.headers, old.body), false)
  })
})

test('the commands on the page are ones the flags take', async () => {
  const [, json = ''] = /of it and its arguments: `(.*?)`/.exec(page) ?? []
  assert.deepEqual(JSON.parse(json), ['/usr/bin/logger', '-t', 'ddos'])
  const told = { notifyUrl: null, notifySecretFile: null, notifyKinds: notificationKinds }
  const { faults } = await openNotify({ ...told, notifyCommand: ['/nowhere', '-t'] })
  assert.match(faults.join('\n'), /^Cannot run "\/nowhere": ENOENT/)
})
