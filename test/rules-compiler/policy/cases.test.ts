import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import { packetText } from '../../../rules-compiler/policy/rule-text.ts'
import { loadCases } from '../../support/cases.ts'
import { decisionText } from '../../support/packets.ts'

for (const { name, ir, expectations } of loadCases()) {
  suite(`case ${name}`, () => {
    for (const { name: row, packet, verdict, reason } of expectations) {
      test(`${row}: ${verdict} ${reason}`, () => {
        assert.equal(decisionText(evaluate(ir, packet)), `${verdict} ${reason}`)
      })
      test(`${row} is written as explain prints it`, () => assert.equal(packetText(packet), row))
    }
  })
}
