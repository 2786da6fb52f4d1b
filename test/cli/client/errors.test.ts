/** What is said of a refusal by the daemon. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RefusedError, readProblem } from '../../../cli/client/errors.ts'

const ids = (count: number) => Array.from({ length: count }, (_, index) => `eni-${index}`)

/** The line that says what holds it. */
function heldLine(more: object): string | undefined {
  const body = JSON.stringify({ code: 'DependencyViolation', detail: 'Cannot delete', ...more })
  return new RefusedError(readProblem(409, body)).lines.find(line => line.startsWith('Held by'))
}

const rows: readonly (readonly [name: string, body: object, line: string | undefined])[] = [
  [
    'as much as fits a line',
    { heldBy: { networkInterfaceIds: ids(3) }, heldByCounts: { networkInterfaceIds: 3 } },
    'Held by network interfaces: eni-0, eni-1, eni-2',
  ],
  [
    'how many more there are, those included that are not listed',
    { heldBy: { networkInterfaceIds: ids(100) }, heldByCounts: { networkInterfaceIds: 10_000 } },
    `Held by network interfaces: ${ids(20).join(', ')}, and 9980 more`,
  ],
  [
    'the same of a daemon that does not count',
    { heldBy: { networkInterfaceIds: ids(50) } },
    `Held by network interfaces: ${ids(20).join(', ')}, and 30 more`,
  ],
  [
    'a count that is none is passed over',
    { heldBy: { networkInterfaceIds: ids(1) }, heldByCounts: { networkInterfaceIds: 'x' } },
    'Held by network interfaces: eni-0',
  ],
  ['nothing', { heldBy: { networkInterfaceIds: [] }, heldByCounts: { networkInterfaceIds: 0 } }, undefined],
]
for (const [name, body, line] of rows) test(`what holds it: ${name}`, () => assert.equal(heldLine(body), line))
