import assert from 'node:assert/strict'
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FileText, watchFile } from '../../../agent/link/file.ts'

/** What the watch told, one entry a call: the text, or `!missing`. */
interface Told {
  readonly what: string
  readonly atMs: number
  readonly file?: FileText
}

class Watched implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'ringwall-test-'))
  readonly path = join(this.folder, 'policy.yaml')
  readonly told: Told[] = []
  #watch: ReturnType<typeof watchFile> | null = null
  #waiting = Promise.withResolvers<void>()

  async start(pollMs?: number): Promise<void> {
    this.#watch = watchFile(this.path, {
      onText: file => this.#note({ what: file.text, atMs: performance.now(), file }),
      onProblem: problem => this.#note({ what: `!${problem.kind}`, atMs: performance.now() }),
      ...(pollMs !== undefined && { pollMs }),
    })
    await this.#watch.ready
  }

  /** Waits until this is the last thing told. */
  async until(what: string): Promise<Told> {
    const deadline = AbortSignal.timeout(10_000)
    while (this.told.at(-1)?.what !== what) {
      deadline.throwIfAborted()
      this.#waiting = Promise.withResolvers()
      await Promise.race([this.#waiting.promise, sleep(100)])
    }
    return this.told.at(-1)!
  }

  get words(): readonly string[] {
    return this.told.map(({ what }) => what)
  }

  write(text: string): void {
    writeFileSync(this.path, text)
  }

  replace(text: string): number {
    const next = join(this.folder, '.policy.yaml.new')
    writeFileSync(next, text)
    const startedAt = performance.now()
    renameSync(next, this.path)
    return startedAt
  }

  #note(told: Told): void {
    this.told.push(told)
    this.#waiting.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Nothing is found by looking now and then. */
const neverMs = 3_600_000
/** Longer than the quiet time and a reading: what has not been told by then is not told. */
const settleMs = 120

describe('the first content', () => {
  test('is told before ready', async () => {
    await using watched = new Watched()
    watched.write('one')
    await watched.start()
    assert.deepEqual(watched.words, ['one'])
  })

  test('of a missing file is a problem', async () => {
    await using watched = new Watched()
    await watched.start()
    assert.deepEqual(watched.words, ['!missing'])
  })

  test('comes when the file does', async () => {
    await using watched = new Watched()
    await watched.start()
    watched.write('one')
    await watched.until('one')
  })
})

describe('a file replaced by a rename', () => {
  test('is told at once, each time', async () => {
    await using watched = new Watched()
    watched.write('0')
    await watched.start(neverMs)
    for (let round = 1; round <= 20; round += 1) {
      const startedAt = watched.replace(String(round))
      const { atMs, file } = await watched.until(String(round))
      assert.ok(file!.noticedAtMs >= startedAt - 1 && file!.noticedAtMs <= atMs)
    }
    assert.deepEqual(
      watched.words,
      Array.from({ length: 21 }, (_, round) => String(round)),
    )
  })

  test('many times at once ends with the last', async () => {
    await using watched = new Watched()
    watched.write('0')
    await watched.start()
    for (let round = 1; round <= 50; round += 1) watched.replace(String(round))
    await watched.until('50')
  })

  test('with the same text is not told again', async () => {
    await using watched = new Watched()
    watched.write('same')
    await watched.start()
    watched.replace('same')
    utimesSync(watched.path, 1, 1)
    await sleep(settleMs)
    assert.deepEqual(watched.words, ['same'])
  })

  test('is told with its own modification time', async () => {
    await using watched = new Watched()
    watched.write('one')
    utimesSync(watched.path, 1000, 1000)
    await watched.start()
    assert.equal(watched.told[0]?.file?.mtimeMs, 1_000_000)
  })
})

describe('a file written in place', () => {
  test('is told once, when the writer has finished', async () => {
    await using watched = new Watched()
    watched.write('old')
    await watched.start()
    truncateSync(watched.path)
    for (const part of ['a', 'b', 'c', 'd', 'e']) {
      await sleep(5)
      appendFileSync(watched.path, part)
    }
    await watched.until('abcde')
    assert.deepEqual(watched.words, ['old', 'abcde'])
  })

  for (const stoppedMs of [50, 1_100]) {
    test(`is told once, though the reader stands still for ${stoppedMs} ms meanwhile`, async () => {
      await using watched = new Watched()
      watched.write('old')
      await watched.start()
      truncateSync(watched.path)
      // The first sign is heard.
      for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stoppedMs)
      appendFileSync(watched.path, 'ha')
      // Shorter than the quiet time, and longer than a reading takes.
      await sleep(15)
      appendFileSync(watched.path, 'lf')
      await watched.until('half')
      assert.deepEqual(watched.words, ['old', 'half'])
    })
  }

  test('after it was deleted, as some editors do, is told once', async () => {
    await using watched = new Watched()
    watched.write('old')
    await watched.start()
    renameSync(watched.path, `${watched.path}~`)
    writeFileSync(watched.path, '')
    await sleep(5)
    appendFileSync(watched.path, 'new')
    unlinkSync(`${watched.path}~`)
    await watched.until('new')
    assert.deepEqual(watched.words, ['old', 'new'])
  })
})

describe('a file that is gone', () => {
  test('is told once, and its return', async () => {
    await using watched = new Watched()
    watched.write('one')
    await watched.start()
    unlinkSync(watched.path)
    await watched.until('!missing')
    await sleep(settleMs)
    watched.replace('two')
    await watched.until('two')
    assert.deepEqual(watched.words, ['one', '!missing', 'two'])
  })

  test('and comes back as it was is told, so that the problem is known to be over', async () => {
    await using watched = new Watched()
    watched.write('one')
    await watched.start()
    unlinkSync(watched.path)
    await watched.until('!missing')
    watched.replace('one')
    await watched.until('one')
    assert.deepEqual(watched.words, ['one', '!missing', 'one'])
  })

  test('with its directory is found again', async () => {
    await using watched = new Watched()
    watched.write('one')
    await watched.start(50)
    rmSync(watched.folder, { recursive: true })
    await watched.until('!missing')
    mkdirSync(watched.folder)
    watched.write('two')
    await watched.until('two')
    watched.replace('three')
    await watched.until('three')
  })
})

describe('symbolic links', () => {
  test('a Kubernetes volume that is swapped', async () => {
    await using watched = new Watched()
    const publish = (version: string, text: string) => {
      mkdirSync(join(watched.folder, version))
      writeFileSync(join(watched.folder, version, 'policy.yaml'), text)
      symlinkSync(version, join(watched.folder, '..data_tmp'))
      renameSync(join(watched.folder, '..data_tmp'), join(watched.folder, '..data'))
    }
    publish('..v1', 'one')
    symlinkSync('..data/policy.yaml', watched.path)
    await watched.start(neverMs)
    publish('..v2', 'two')
    await watched.until('two')
    rmSync(join(watched.folder, '..v1'), { recursive: true })
    publish('..v3', 'three')
    await watched.until('three')
    assert.deepEqual(watched.words, ['one', 'two', 'three'])
  })

  test('a link into another directory whose file is replaced', async () => {
    await using watched = new Watched()
    const elsewhere = join(watched.folder, 'elsewhere')
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'real.yaml'), 'one')
    symlinkSync(join(elsewhere, 'real.yaml'), watched.path)
    await watched.start()
    writeFileSync(join(elsewhere, 'next'), 'two')
    renameSync(join(elsewhere, 'next'), join(elsewhere, 'real.yaml'))
    await watched.until('two')
  })
})

describe('what cannot be read', () => {
  test('is a problem: a directory, bytes that are no text', async () => {
    await using watched = new Watched()
    mkdirSync(watched.path)
    await watched.start()
    assert.deepEqual(watched.words, ['!unreadable'])
    rmSync(watched.path, { recursive: true })
    watched.write('good')
    await watched.until('good')
    writeFileSync(watched.path, Buffer.from([0xff, 0xfe, 0x00]))
    await watched.until('!unreadable')
    watched.replace('good')
    await watched.until('good')
    assert.deepEqual(watched.words, ['!unreadable', 'good', '!unreadable', 'good'])
  })
})

test('without a sign, the poll finds the change', async () => {
  await using watched = new Watched()
  watched.write('one')
  // What is written through a second name is not told to those who watch the directory of the first.
  mkdirSync(join(watched.folder, 'elsewhere'))
  const secondName = join(watched.folder, 'elsewhere', 'same-file')
  linkSync(watched.path, secondName)
  await watched.start(30)
  writeFileSync(secondName, 'two')
  await watched.until('two')
})

test('a closed watch says nothing more', async () => {
  await using watched = new Watched()
  watched.write('one')
  await watched.start(10)
  watched.replace('two')
  await watched[Symbol.asyncDispose]()
  const words = watched.words
  await sleep(settleMs)
  assert.deepEqual(watched.words, words)
})
