/** A black hole has a time, and only a black hole: the longest is no shorter than the first, and what is lifted has none. */
import { defaultScrubbing } from '../../model/policy.ts'
import { type Check, type CheckContext, place } from '../check-context.ts'
import { isGiven } from '../read-shape.ts'
import type { FileInstance } from '../schema.ts'

export const blackHoles: Check = context => {
  checkHoldTimes(context)
  for (const { item, path } of place<FileInstance>(context.file.instances, 'instances')) {
    const { action, holdSeconds } = item.ddosOrder ?? {}
    if (action !== 'lift' || holdSeconds === undefined) continue
    const expected = 'it with action "black-hole" only'
    context.report.add('conflict', `${path}.ddosOrder.holdSeconds`, {
      action: 'take holdSeconds',
      value: holdSeconds,
      expected,
    })
  }
}

function checkHoldTimes({ file, report }: CheckContext): void {
  const scrubbing = file.settings?.scrubbing ?? {}
  const { mostBlackHoleHoldTime: most } = scrubbing
  const first = isGiven(scrubbing, 'blackHoleHoldTime')
    ? scrubbing.blackHoleHoldTime
    : defaultScrubbing.blackHoleHoldTime
  if (most === undefined || first === undefined || most >= first) return
  const expected = `${first} or more, which is blackHoleHoldTime`
  report.add('conflict', 'settings.scrubbing.mostBlackHoleHoldTime', {
    action: 'set the longest hold time to',
    value: most,
    expected,
  })
}
