import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { readNotifyFlags } from '../../cli/notify-flags.ts'
import { usualNotificationKinds } from '../../wire/notification.ts'

const folder = await mkdtemp(join(tmpdir(), 'ringwall-flags-'))
after(() => rm(folder, { recursive: true }))
const hook = join(folder, 'hook')
const secretFile = join(folder, 'secret')
await writeFile(hook, '#!/bin/sh\n')
await chmod(hook, 0o755)
await writeFile(secretFile, `whsec_${Buffer.alloc(24, 7).toString('base64')}\n`, { mode: 0o600 })

describe('who is told', () => {
  test('nobody', async () => {
    assert.deepEqual(await readNotifyFlags({}), { command: null, webhook: null, kinds: usualNotificationKinds })
  })

  test('a command and a webhook, of some kinds', async () => {
    const settings = await readNotifyFlags({
      'notify-command': JSON.stringify([hook, '-v']),
      'notify-url': 'https://ops.example/hook',
      'notify-secret-file': secretFile,
      'notify-kinds': 'ddos.black-hole, ddos.lift',
    })
    assert.deepEqual(settings, {
      command: [hook, '-v'],
      webhook: { url: 'https://ops.example/hook', secret: Buffer.alloc(24, 7) },
      kinds: ['ddos.black-hole', 'ddos.lift'],
    })
  })

  const refused: readonly (readonly [string, Parameters<typeof readNotifyFlags>[0], RegExp])[] = [
    ['a relative path', { 'notify-command': 'hook' }, /^--notify-command: "hook" is no command/],
    ['a program that is not there', { 'notify-command': '/nowhere/hook' }, /^Cannot run "\/nowhere\/hook": ENOENT/],
    ['no URL', { 'notify-url': 'ops' }, /^--notify-url: "ops" is no URL/],
    ['a secret for nothing', { 'notify-secret-file': secretFile }, /^missing --notify-url/],
    [
      'a file that holds no secret',
      { 'notify-url': 'https://a.example/', 'notify-secret-file': hook },
      /^Cannot take the secret from/,
    ],
    ['an unknown kind', { 'notify-kinds': 'ddos.begin' }, /^--notify-kinds is "ddos.begin", expected ddos.start, /],
    ['kinds for nobody', { 'notify-kinds': 'ddos.start' }, /^missing --notify-command or --notify-url/],
  ]
  for (const [name, values, message] of refused) {
    test(`refused: ${name}`, () => assert.rejects(readNotifyFlags(values), { message }))
  }
})
