import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { mostSilentMs } from '../../../agent/http.ts'
import { LiveFeed } from '../../../agent/scrub/live.ts'
import type { DdosSample } from '../../../wire/ddos.ts'

const sampleOf = (instanceId: string) => ({ instanceId }) as DdosSample

test('who watches is told of the samples of an instance, and now and then that there are none', () => {
  mock.timers.enable({ apis: ['setInterval'] })
  try {
    const feed = new LiveFeed()
    const lines: string[] = []
    const stop = feed.lines('i-1').start(line => lines.push(line) > 0)
    feed.publish([sampleOf('i-1'), sampleOf('i-2')])
    feed.publish([sampleOf('i-2')])
    assert.deepEqual(lines, ['[{"instanceId":"i-1"}]'])
    mock.timers.tick(mostSilentMs)
    mock.timers.tick(mostSilentMs)
    assert.deepEqual(lines.slice(1), ['[]', '[]'])
    stop()
    mock.timers.tick(mostSilentMs)
    feed.publish([sampleOf('i-1')])
    assert.equal(lines.length, 3)
  } finally {
    mock.timers.reset()
  }
})
