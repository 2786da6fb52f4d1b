/** A disk that is full, one that fails, and whether what is acknowledged was handed to it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'

let folder = ''
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-disk-'))
})
after(() => rmSync(folder, { recursive: true }))

/** Of a mount namespace of its own: the file system goes with its last process. */
const ownMount = ['--mount', '--propagation', 'private', 'sh', '-c']
const tracer = ['-f', '-y', '-s', '64', '-e', 'trace=write,pwrite64,fsync,fdatasync']

function reasonAgainst(command: string, args: readonly string[]): string | false {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? false : `${command}: ${error?.message ?? stderr.trim()}`
}

const needsMounts = reasonAgainst('unshare', [...ownMount, 'mount -t tmpfs tmpfs /mnt'])
const needsTracer = reasonAgainst('strace', [...tracer, '-o', '/dev/null', 'true'])

interface Outcome {
  readonly code: number | null
  readonly output: string
}

async function run(command: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, output: stdout + stderr }
}

test('a full disk refuses commits, keeps what there was, and takes them again when there is space', {
  skip: needsMounts,
}, async () => {
  const mountPoint = join(folder, 'small')
  mkdirSync(mountPoint)
  const script = `
    mount -t tmpfs -o size=12m,mode=700 tmpfs "$1" || exit 10
    "$2" "$3" fill "$1"; [ $? = 137 ] || exit 11
    "$2" "$3" recover "$1" || exit 12
  `
  const program = join(import.meta.dirname, 'full-disk.ts')
  const { code, output } = await run('unshare', [...ownMount, script, 'sh', mountPoint, process.execPath, program])
  assert.deepEqual([code, output.replace('Killed\n', '')], [0, ''])
})

test('a disk that can only be read is called that', { skip: needsMounts }, async () => {
  const mountPoint = join(folder, 'read-only')
  mkdirSync(mountPoint)
  const module = JSON.stringify(join(import.meta.dirname, '../../../daemon/store/sqlite.ts'))
  const code = `
    import { openSqliteStore } from ${module}
    const open = () => openSqliteStore(process.argv[1] + '/store.db')
    if (process.argv[2] === 'make') await (await open()).close()
    else await open().catch(error => console.log(error.kind, error.message))
  `
  const script = `
    mount -t tmpfs -o size=12m,mode=700 tmpfs "$1" || exit 10
    "$2" --input-type=module-typescript -e "$3" "$1" make || exit 11
    mount -o remount,ro "$1" || exit 12
    "$2" --input-type=module-typescript -e "$3" "$1" open
  `
  const { code: exitCode, output } = await run('unshare', [
    ...ownMount,
    script,
    'sh',
    mountPoint,
    process.execPath,
    code,
  ])
  assert.equal(exitCode, 0, output)
  assert.equal(
    output.replaceAll(mountPoint, 'DISK'),
    `unusable Cannot open store "DISK/store.db": EROFS: read-only file system, access 'DISK/store.db'; expected a file and a folder that this user may write\n`,
  )
})

/** A call that another thread's call came into stands in the trace by its beginning and its end: here at its end, whole. */
function wholeCalls(trace: string): readonly string[] {
  const begun = new Map<string, string>()
  return trace.split('\n').flatMap(line => {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, beginning] = /^(.*) <unfinished \.\.\.>$/.exec(text) ?? []
    if (beginning !== undefined) {
      begun.set(thread, beginning)
      return []
    }
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(text) ?? []
    return [end === undefined ? text : `${begun.get(thread)}${end}`]
  })
}

describe('under a tracer', { skip: needsTracer }, () => {
  const module = JSON.stringify(join(import.meta.dirname, '../../../daemon/store/sqlite.ts'))
  const runTraced = (extra: readonly string[], code: string, args: readonly string[]) => {
    const source = `import { writeSync } from 'node:fs'\nimport { openSqliteStore } from ${module}\n${code}`
    const command = [process.execPath, '--input-type=module-typescript', '-e', source, ...args]
    return run('strace', [...tracer, ...extra, ...command])
  }

  test('each acknowledgement comes after the write-ahead log was synced', async () => {
    const path = join(folder, 'synced.db')
    const log = join(folder, 'synced.trace')
    const code = `
      const store = await openSqliteStore(process.argv[1])
      for (let number = 1; number <= 400; number += 1) {
        await store.commit({ writes: [{ key: 'a/' + number, value: 'x'.repeat(1000) }] })
        writeSync(1, 'acknowledged ' + number + '\\n')
      }
      await store.close()
    `
    const { code: exitCode, output } = await runTraced(['-o', log], code, [path])
    assert.equal(exitCode, 0, output)
    let written = 0
    let unsynced = 0
    let acknowledged = 0
    for (const line of wholeCalls(readFileSync(log, 'utf8'))) {
      if (/pwrite64\(.*synced\.db-wal>/.test(line)) {
        written += 1
        unsynced += 1
      } else if (/f(data)?sync\(.*synced\.db-wal>\) += 0/.test(line)) {
        unsynced = 0
      } else if (/write\(.*"acknowledged /.test(line)) {
        acknowledged += 1
        assert.deepEqual([unsynced, written > 0], [0, true], `${line}: ${unsynced} writes are not synced`)
        written = 0
      }
    }
    assert.equal(acknowledged, 400)
  })

  test('a disk that fails a sync ends all writing until the store is opened again', async () => {
    const path = join(folder, 'failing.db')
    const fault = ['-o', '/dev/null', '-P', `${path}-wal`, '-e', 'inject=fdatasync,fsync:error=EIO:when=5']
    const code = `
      import assert from 'node:assert/strict'
      let store = await openSqliteStore(process.argv[1])
      let heard = 0
      await store.watch(1, () => { heard += 1 })
      const commit = () => store.commit({ writes: [{ key: 'a/1', value: store.head() + 1 }] })
      const refused = { name: 'StoreError', kind: 'unusable', message: /^Cannot write store ".*": the disk failed in the middle of a write; start the daemon anew/ }
      await assert.rejects(async () => { for (let number = 1; number <= 50; number += 1) await commit() }, refused)
      const head = store.head()
      assert.ok(head > 0)
      assert.equal(heard, head)
      await assert.rejects(commit(), refused)
      await assert.rejects(store.get('a/1'), refused)
      await assert.rejects(store.compact(2), refused)
      await store.close()
      store = await openSqliteStore(process.argv[1])
      assert.ok(store.head() === head || store.head() === head + 1)
      assert.equal((await store.get('a/1')).value, store.head())
      assert.equal((await store.history(1, 100)).length, store.head())
      await commit()
      await store.close()
      writeSync(1, 'done')
    `
    assert.deepEqual(await runTraced(fault, code, [path]), { code: 0, output: 'done' })
  })
})
