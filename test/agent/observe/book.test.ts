/** The book of observed ENIs: what counters and records add to it, how much it keeps, when it forgets, what a restart finds. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { KernelReading } from '../../../agent/counters/read.ts'
import type { LogRecord } from '../../../agent/logs/record.ts'
import { ObservedBook } from '../../../agent/observe/book.ts'
import { KeptBook } from '../../../agent/observe/kept-book.ts'
import { createLogger } from '../../../common/log.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'
import { logRecord } from '../../support/log-record.ts'

const rule = makeRule({ id: 'sgr-9', groupId: 'sg-web', verdict: 'drop', protocol: 'tcp', ports: 22 })
const observed = makeIr(makeEni([rule], { isObserved: true }))
const enforced = makeIr(makeEni([rule]))
const beganAtMs = Date.parse('2026-03-01T10:00:00Z')

function reading(fields: Partial<KernelReading>): KernelReading {
  return {
    source: 'counter eni-1/ingress/default',
    eniIds: ['eni-1'],
    direction: 'ingress',
    verdict: 'drop',
    reason: 'default',
    ruleId: null,
    packets: 0,
    bytes: 0,
    ...fields,
  }
}

const byRule = (packets: number) =>
  reading({ source: 'rule tcp/ip/1 sgr-9 0', reason: 'rule', ruleId: 'sgr-9', packets })

const record = (fields: Partial<LogRecord> = {}) => logRecord({ action: 'observe', ...fields })

function begin(): ObservedBook {
  const book = new ObservedBook()
  assert.equal(book.setPolicy(observed, beganAtMs), true)
  return book
}

describe('counts', () => {
  test('are what came after the first reading, by reason, the most first', () => {
    const book = begin()
    book.noteReadings([reading({ packets: 100 }), byRule(50)], observed)
    assert.deepEqual(book.report()[0]!.counts, [])
    book.noteReadings([reading({ packets: 103 }), byRule(60)], observed)
    assert.deepEqual(book.report(), [
      {
        eniId: 'eni-1',
        since: '2026-03-01T10:00:00.000Z',
        counts: [
          { direction: 'ingress', cause: 'rule', ruleId: 'sgr-9', securityGroupId: 'sg-web', packets: 10 },
          { direction: 'ingress', cause: 'default', packets: 3 },
        ],
        flows: [],
        flowsLeftOut: 0,
        liveSessions: null,
      },
    ])
  })

  test('go on where a counter begins again, and where one comes that was not there', () => {
    const book = begin()
    book.noteReadings([reading({ packets: 100 })], observed)
    book.noteReadings([reading({ packets: 5 }), byRule(7)], observed)
    book.noteReadings([reading({ packets: 6 })], observed)
    assert.deepEqual(
      book.report()[0]!.counts.map(({ cause, packets }) => [cause, packets]),
      [
        ['rule', 7],
        ['default', 6],
      ],
    )
  })

  test('leave out what is accepted, and what other ENIs count', () => {
    const book = begin()
    book.noteReadings([], observed)
    book.noteReadings(
      [
        reading({ source: 'a', verdict: 'accept', packets: 5 }),
        reading({ source: 'b', eniIds: ['eni-2'], packets: 5 }),
        reading({ source: 'c', reason: 'inner-access', verdict: 'accept', packets: 5 }),
      ],
      observed,
    )
    assert.deepEqual(book.report()[0]!.counts, [])
  })
})

describe('flows', () => {
  test('put together what has the same peer, protocol, port and reason', () => {
    const book = begin()
    book.noteRecord(record())
    book.noteRecord(record({ sourcePort: 40_001, time: '2026-03-01T10:21:00.000Z' }))
    book.noteRecord(record({ source: '203.0.113.10' }))
    const egress = { direction: 'egress', cause: 'smtp', source: '198.18.0.2', destination: '203.0.113.25' } as const
    const { ruleId: _, securityGroupId: __, ...without } = record({ ...egress, port: 25 })
    book.noteRecord(without)
    assert.deepEqual(
      book
        .report()[0]!
        .flows.map(({ peer, port, packets, firstTime, lastTime }) => [
          peer,
          port,
          packets,
          firstTime.slice(11, 19),
          lastTime.slice(11, 19),
        ]),
      [
        ['203.0.113.9', 22, 2, '10:20:30', '10:21:00'],
        ['203.0.113.10', 22, 1, '10:20:30', '10:20:30'],
        ['203.0.113.25', 25, 1, '10:20:30', '10:20:30'],
      ],
    )
  })

  test('leave out what was dropped or accepted, and ENIs that are not observed', () => {
    const book = begin()
    book.noteRecord(record({ action: 'drop' }))
    book.noteRecord(record({ action: 'accept' }))
    book.noteRecord(record({ eniId: 'eni-2' }))
    assert.deepEqual(book.report()[0]!.flows, [])
  })

  test('that the kernel tells of before it is known to observe their ENI are there when it is', () => {
    const book = new ObservedBook()
    book.noteRecord(record())
    book.noteRecord(record({ eniId: 'eni-2' }))
    assert.deepEqual([book.report(), book.keep()], [[], []])
    book.setPolicy(observed, beganAtMs)
    assert.deepEqual(
      book.report().map(({ eniId, flows }) => [eniId, flows.length]),
      [['eni-1', 1]],
    )
  })

  test('are a thousand at most: the frequent ones stay, the others are counted', () => {
    const book = begin()
    const address = (index: number) => `203.0.${index >> 8}.${index & 255}`
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < 500; index += 1) book.noteRecord(record({ source: address(index) }))
    }
    for (let index = 500; index < 20_000; index += 1) book.noteRecord(record({ source: address(index) }))
    const [eni] = book.report()
    assert.equal(eni!.flows.length, 1000)
    assert.equal(eni!.flowsLeftOut, 19_000)
    assert.equal(eni!.flows.filter(({ packets }) => packets === 3).length, 500)
  })
})

describe('a book', () => {
  test('is forgotten when its ENI is enforced, and begins anew', () => {
    const book = begin()
    book.noteRecord(record())
    book.setPolicy(enforced, beganAtMs)
    assert.deepEqual([book.report(), book.keep(), book.isEmpty], [[], [], true])
    assert.equal(book.setPolicy(observed, beganAtMs + 60_000), true)
    assert.deepEqual([book.report()[0]!.since, book.report()[0]!.flows], ['2026-03-01T10:01:00.000Z', []])
  })

  test('is kept while its ENI is missing from the policy', () => {
    const book = begin()
    book.noteRecord(record())
    book.setPolicy({ ...observed, enis: [] }, beganAtMs)
    assert.deepEqual(book.report(), [])
    book.setPolicy(observed, beganAtMs + 60_000)
    assert.equal(book.report()[0]!.flows.length, 1)
  })

  test('goes on after a restart, with what the kernel counted meanwhile', async () => {
    await using disk = await openDisk()
    const book = begin()
    book.noteReadings([reading({ packets: 100 })], observed)
    book.noteReadings([reading({ packets: 103 })], observed)
    book.noteRecord(record())
    await disk.kept.write(book.keep())

    const next = new ObservedBook()
    next.resume(await disk.again().read())
    next.setPolicy(observed, beganAtMs + 60_000)
    next.noteReadings([reading({ packets: 110 })], observed)
    const [eni] = next.report()
    assert.deepEqual([eni!.since, eni!.counts[0]!.packets, eni!.flows.length], ['2026-03-01T10:00:00.000Z', 10, 1])
  })
})

describe('on disk', () => {
  test('there is no file while nothing is observed, and none is written twice', async () => {
    await using disk = await openDisk()
    assert.deepEqual(await disk.kept.read(), [])
    await disk.kept.write([])
    assert.deepEqual(await readdir(disk.folder), [])
  })

  for (const [name, text] of [
    ['torn', '{"format":1,"enis":[{"eniId":"eni-1","since"'],
    ['of another format', '{"format":2,"enis":[]}'],
    [
      'with a time that is none',
      '{"format":1,"enis":[{"eniId":"e","since":"x","counts":[],"readings":[],"flows":[],"flowsLeftOut":0}]}',
    ],
  ] as const) {
    test(`a file that is ${name} is set aside, and said`, async () => {
      await using disk = await openDisk()
      await writeFile(join(disk.folder, 'observed.json'), text)
      assert.deepEqual(await disk.kept.read(), [])
      assert.deepEqual(await readdir(disk.folder), ['observed.json.bad'])
      assert.equal(disk.told.length, 1)
    })
  }

  test('a disk that refuses is said once', async () => {
    await using disk = await openDisk()
    await writeFile(join(disk.folder, 'file'), '')
    const kept = new KeptBook(join(disk.folder, 'file', 'below'), disk.log)
    await kept.write([])
    await kept.write(begin().keep())
    assert.equal(disk.told.length, 1)
    assert.equal(await readFile(join(disk.folder, 'file'), 'utf8'), '')
  })
})

async function openDisk() {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-book-'))
  const told: string[] = []
  const log = createLogger('test', 'info', { write: line => void told.push(line) })
  return {
    folder,
    told,
    log,
    kept: new KeptBook(folder, log),
    again: () => new KeptBook(folder, log),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
