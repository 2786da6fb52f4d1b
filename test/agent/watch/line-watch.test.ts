import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { watchLines } from '../../../agent/watch/line-watch.ts'
import { createNamespace } from '../../../lab/netns.ts'
import { needsKernel } from '../../support/requirements.ts'
import { eventually } from '../../support/sessions.ts'

test('a command that comes up late is taken to be up, and told again when it hears', { skip: needsKernel }, async t => {
  await using namespace = await createNamespace('watch')
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-watch-'))
  t.after(() => rm(folder, { recursive: true }))
  const listen = 'while [ ! -e "$0" ]; do sleep 0.05; done; exec ip -o monitor link'
  const ups: boolean[] = []
  const lines: string[] = []
  const watch = watchLines({
    command: ['ip', 'netns', 'exec', namespace.name, 'sh', '-c', listen, join(folder, 'go')],
    netlink: { protocol: 0, group: 1 },
    onLine: line => lines.push(line),
    onUp: first => ups.push(first),
    onDown: reason => assert.fail(reason),
  })
  await using _watch = { [Symbol.asyncDispose]: () => watch.close() }
  await watch.ready
  assert.deepEqual(ups, [true])
  await writeFile(join(folder, 'go'), '')
  await eventually(async () => assert.deepEqual(ups, [true, false]))
  await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
  await eventually(async () => assert.match(lines.join('\n'), /\bd0\b/))
  assert.deepEqual(ups, [true, false], 'once')
})
