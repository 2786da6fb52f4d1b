import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'
import { DeadLetters, deadLettersFile } from '../../../common/notify/dead-letters.ts'
import { Spool } from '../../../common/notify/spool.ts'
import { watchFiles } from '../../support/failing-files.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { newFolder, notification, type Received, startNotifier, startReceiver } from '../../support/notifications.ts'
import { eventually } from '../../support/sessions.ts'

const secret = Buffer.alloc(32)
const idsOf = (received: readonly Received[]) => received.map(({ headers }) => headers['webhook-id'])
const filesIn = async (folder: string) => (await readdir(folder).catch(() => [])).sort()

async function hook(folder: string, text: string): Promise<readonly string[]> {
  const path = join(folder, 'hook')
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, 0o755)
  return [path]
}

describe('a notifier', () => {
  test('tells both, and leaves nothing on disk', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await using receiver = await startReceiver()
    const command = await hook(folder, `echo "$RINGWALL_KIND $RINGWALL_NOTIFICATION_ID"`)
    await using notifier = await startNotifier({ folder, command, webhook: { url: receiver.url, secret } })
    await notifier.notify(notification('n-1'))
    const ran = await notifier.logged(({ msg, way }) => msg === 'notification delivered' && way === 'command')
    assert.equal(ran.output, 'ddos.start n-1')
    await notifier.logged(({ msg, way }) => msg === 'notification delivered' && way === 'webhook')
    await notifier.close()
    assert.deepEqual(idsOf(receiver.received), ['n-1'])
    assert.deepEqual(await filesIn(join(folder, 'command')), [])
    assert.deepEqual(await filesIn(join(folder, 'webhook')), [])
    for (const way of ['command', 'webhook']) {
      assert.equal(await notifier.metric(`ringwall_notifications_total{way="${way}",outcome="delivered"}`), '1')
      assert.equal(await notifier.metric(`ringwall_notifications_pending{way="${way}"}`), '0')
    }
  })

  test('with nobody to tell does nothing', async () => {
    await using notifier = await startNotifier()
    await notifier.notify(notification('n-1'))
    assert.deepEqual(await filesIn(notifier.folder), [])
  })

  test('leaves out kinds that were not asked for, and repetitions of what is on its way', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await using receiver = await startReceiver(async (_, response) => {
      await promise
      response.writeHead(204).end()
    })
    await using notifier = await startNotifier({ webhook: { url: receiver.url, secret } })
    await notifier.notify(notification('n-0', { kind: 'ddos.peak' }))
    for (const id of ['n-1', 'n-1', 'n-2', 'n-1']) await notifier.notify(notification(id))
    resolve()
    await receiver.count(2)
    await notifier.close()
    assert.deepEqual(idsOf(receiver.received), ['n-1', 'n-2'])
  })

  test('keeps the order of each instance, and lets none wait for another', async () => {
    let isBroken = true
    await using receiver = await startReceiver((request, response) => {
      const isRefused = isBroken && String(request.headers['webhook-id']).startsWith('a')
      response.writeHead(isRefused ? 503 : 204).end()
    })
    await using notifier = await startNotifier({
      webhook: { url: receiver.url, secret },
      limits: { firstDelayMs: 20, mostDelayMs: 50, attempts: Number.POSITIVE_INFINITY },
    })
    for (const id of ['a-1', 'a-2', 'b-1', 'a-3', 'b-2']) {
      await notifier.notify(notification(id, { instanceId: `i-${id[0]}` }))
    }
    await notifier.logged(({ msg, id }) => msg === 'notification delivered' && id === 'b-2')
    assert.deepEqual([...new Set(idsOf(receiver.received).filter(id => String(id).startsWith('a')))], ['a-1'])
    isBroken = false
    await notifier.logged(({ msg, id }) => msg === 'notification delivered' && id === 'a-3')
    const delivered = notifier.lines.filter(({ msg }) => msg === 'notification delivered').map(({ id }) => String(id))
    assert.deepEqual(
      delivered.filter(id => id.startsWith('a')),
      ['a-1', 'a-2', 'a-3'],
    )
  })

  test('tries again after growing times, and gives up into the dead letters', async () => {
    const clock = new HandClock()
    await using receiver = await startReceiver((_, response) => void response.writeHead(503).end('later'))
    await using notifier = await startNotifier({
      webhook: { url: receiver.url, secret },
      clock,
      limits: { firstDelayMs: 1_000, mostDelayMs: 3_000, attempts: 5 },
    })
    await notifier.notify(notification('n-1'))
    const waits: number[] = []
    for (let attempt = 1; attempt < 5; attempt += 1) {
      await receiver.count(attempt)
      // Chance is a half: three quarters of the delay.
      const wait = Math.min(1_000 * 2 ** (attempt - 1), 3_000) * 0.75
      await clock.waitsFor(wait)
      waits.push(wait)
      clock.advance(wait)
    }
    assert.deepEqual(waits, [750, 1_500, 2_250, 2_250])
    await notifier.logged(({ msg }) => msg === 'notification given up')
    await notifier.close()
    const [letter, ...others] = await notifier.deadLetters()
    assert.deepEqual(others, [])
    assert.equal(letter!.reason, 'answer 503: later')
    assert.equal(letter!.attempts, 5)
    assert.equal(letter!.way, 'webhook')
    assert.equal((letter!.notification as { id: string }).id, 'n-1')
    assert.deepEqual(await filesIn(join(notifier.folder, 'webhook')), [])
    assert.equal(await notifier.metric('ringwall_notifications_total{way="webhook",outcome="failed"}'), '4')
    assert.equal(await notifier.metric('ringwall_notifications_total{way="webhook",outcome="given-up"}'), '1')
    // The same reason is not said each time.
    assert.equal(notifier.lines.filter(({ msg }) => String(msg).startsWith('notification not delivered')).length, 1)
  })

  test('drops the oldest of too many, and says so', async () => {
    await using receiver = await startReceiver(() => {})
    await using notifier = await startNotifier({
      webhook: { url: receiver.url, secret },
      limits: { pending: 3, atOnce: 1, closeWaitMs: 10 },
    })
    for (const id of ['n-1', 'n-2', 'n-3', 'n-4', 'n-5']) {
      await notifier.notify(notification(id))
      await receiver.count(1)
    }
    assert.equal(await notifier.metric('ringwall_notifications_pending{way="webhook"}'), '3')
    // Nobody waits for what becomes of those that were dropped.
    await eventually(async () => {
      assert.equal((await filesIn(join(notifier.folder, 'webhook'))).length, 3)
      const letters = await notifier.deadLetters()
      assert.deepEqual(
        letters.map(({ notification: dead, reason }) => [(dead as { id: string }).id, reason]),
        [
          ['n-2', 'more than 3 wait'],
          ['n-3', 'more than 3 wait'],
        ],
      )
    })
  })

  test('never waits for a receiver that hangs', async () => {
    await using receiver = await startReceiver(() => {})
    await using notifier = await startNotifier({ webhook: { url: receiver.url, secret }, limits: { closeWaitMs: 10 } })
    for (let index = 0; index < 50; index += 1) {
      await notifier.notify(notification(`n-${index}`, { instanceId: `i-${index}` }))
    }
    assert.equal(await notifier.metric('ringwall_notifications_pending{way="webhook"}'), '50')
    assert.ok(receiver.received.length <= 4)
  })
})

describe('over an end', () => {
  test('what is not delivered is, by the next, in order', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    {
      await using silent = await startReceiver(() => {})
      await using notifier = await startNotifier({
        folder,
        webhook: { url: silent.url, secret },
        limits: { closeWaitMs: 10 },
      })
      for (const id of ['n-1', 'n-2', 'n-3']) await notifier.notify(notification(id))
      await silent.count(1)
    }
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await notifier.notify(notification('n-4'))
    await receiver.count(4)
    assert.deepEqual(idsOf(receiver.received), ['n-1', 'n-2', 'n-3', 'n-4'])
  })

  test('by SIGKILL nothing is lost that was on disk', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await using silent = await startReceiver(() => {})
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, '../../support/notify-process.ts'), folder, silent.url],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const told: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      told.push(line)
      if (told.length === 20) child.kill('SIGKILL')
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await receiver.count(told.length)
    // What was being written at the kill may be there as well.
    assert.deepEqual(idsOf(receiver.received).slice(0, told.length), told)
    await notifier.close()
  })

  test('what is old is history', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    const spool = new Spool(join(folder, 'webhook'))
    await spool.load()
    const time = new Date(Date.now() - 7 * 3_600_000).toISOString()
    await spool.write(spool.nextName(), notification('n-old', { time }))
    await spool.write(spool.nextName(), notification('n-new'))
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await notifier.logged(({ msg, id }) => msg === 'notification delivered' && id === 'n-new')
    assert.deepEqual(idsOf(receiver.received), ['n-new'])
    // It is written on its own, and need not be there before the other has arrived.
    await eventually(async () => assert.match(String((await notifier.deadLetters())[0]?.reason), /^older than/))
  })

  test('what is damaged is set aside, and what was half written is gone', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await mkdir(join(folder, 'webhook'))
    const whole = JSON.stringify(notification('n-1'))
    const files = {
      '000000000001.json': whole.slice(0, 50),
      '000000000002.json': JSON.stringify({ ...notification('n-x'), variables: { RINGWALL_X: 1 } }),
      '000000000003.json': whole,
      '000000000004.json.new': whole.slice(0, 50),
    }
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'webhook', name), text)
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await notifier.logged(({ msg }) => msg === 'notification delivered')
    await notifier.close()
    assert.deepEqual(idsOf(receiver.received), ['n-1'])
    const damaged = ['000000000001.json.damaged', '000000000002.json.damaged']
    assert.deepEqual(await filesIn(join(folder, 'webhook')), damaged)
    assert.deepEqual(notifier.lines.find(({ level }) => level === 'error')!.files, damaged)
  })
})

describe('a disk that is full', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

  test('keeps nobody from being told', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await mkdir(join(folder, 'webhook'), { recursive: true })
    {
      using _files = watchFiles({
        folder: join(folder, 'webhook'),
        onStep(step) {
          if (step.startsWith('write')) throw full
        },
      })
      await notifier.notify(notification('n-1'))
      await notifier.logged(({ msg }) => msg === 'notification delivered')
      assert.deepEqual(await filesIn(join(folder, 'webhook')), [])
    }
    await notifier.notify(notification('n-2'))
    await receiver.count(2)
    assert.match(JSON.stringify(notifier.lines), /cannot keep a notification on disk/)
  })

  test('keeps nobody from being told, where it is really full', {
    skip: process.getuid?.() !== 0 && 'needs root',
  }, async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await using receiver = await startReceiver()
    const fill =
      'mount -t tmpfs -o size=64k none "$1" && mkdir "$1/webhook" && ! cat /dev/zero > "$1/filling" 2> /dev/null'
    const script = `${fill} && exec "$2" "$3" "$1" "$4"`
    const program = join(import.meta.dirname, '../../support/notify-process.ts')
    const args = ['--mount', 'sh', '-c', script, 'sh', folder, process.execPath, program, receiver.url]
    const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    await receiver.count(20)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.deepEqual(await filesIn(folder), [])
    assert.deepEqual(idsOf(receiver.received).slice(0, 3), ['n-0', 'n-1', 'n-2'])
  })

  test('nor does one that cannot be read', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'webhook'), 'a file where the folder should be')
    await using receiver = await startReceiver()
    await using notifier = await startNotifier({ folder, webhook: { url: receiver.url, secret } })
    await notifier.notify(notification('n-1'))
    await receiver.count(1)
  })

  test('loses no more than the one line of a dead letter', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    const letters = new DeadLetters(folder)
    const letter = (id: string) => ({
      time: '',
      way: 'webhook',
      reason: '',
      attempts: 1,
      notification: notification(id),
    })
    await letters.add(letter('n-1'))
    {
      using _files = watchFiles({
        folder,
        onStep(step) {
          if (step.startsWith('append')) throw full
        },
      })
      await assert.rejects(letters.add(letter('n-2')), { code: 'ENOSPC' })
    }
    await letters.add(letter('n-3'))
    const lines = (await readFile(join(folder, deadLettersFile), 'utf8')).trimEnd().split('\n')
    assert.deepEqual(
      [lines.length, JSON.parse(lines[0]!).notification.id, JSON.parse(lines[2]!).notification.id],
      [3, 'n-1', 'n-3'],
    )
  })

  test('is not what dead letters make', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    const letters = new DeadLetters(folder, 2_000)
    for (let index = 0; index < 20; index += 1) {
      void letters.add({ time: '', way: 'webhook', reason: '', attempts: 1, notification: notification(`n-${index}`) })
    }
    await letters.add({ time: '', way: 'webhook', reason: '', attempts: 1, notification: notification('n-last') })
    assert.deepEqual(await filesIn(folder), [deadLettersFile, `${deadLettersFile}.1`])
    for (const name of await filesIn(folder)) assert.ok((await readFile(join(folder, name))).length <= 2_000)
    assert.match(await readFile(join(folder, deadLettersFile), 'utf8'), /n-last/)
  })
})
