/** `ringwall top`: inbound traffic of instances beside their thresholds, once a second. */
import { placeText } from '../client/connection.ts'
import type { Io } from '../command.ts'
import { daemonFeed, type Feed } from '../ddos/feed.ts'
import { gather } from '../ddos/gather.ts'
import { agentFeed } from '../ddos/local-agent.ts'
import { standingTable } from '../ddos/standing.ts'
import { sampleLine } from '../ddos/top-screen.ts'
import { lineViewer, ScreenViewer } from '../ddos/viewers.ts'
import { watch } from '../ddos/watch.ts'
import type { CommonValues } from '../operate/flags.ts'
import { instances } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { type LocalCall, type Result, verb } from '../operate/verb.ts'
import { Ending } from '../output/ending.ts'
import { canDraw, hasColors, type Key, Screen } from '../output/screen.ts'

const summary = 'watch inbound traffic and floods, once a second'

const flags = {
  once: { takes: 'nothing', help: 'show it once, and end' },
} as const

type TopCall = LocalCall<typeof flags>

export const command = nounCommand({
  name: 'top',
  summary,
  verbs: [
    verb({
      name: '',
      summary,
      effect: 'looks',
      words: [
        {
          ...instances.word,
          isOptional: true,
          isMany: true,
          help: 'id or name of an instance; all of them if left out',
        },
      ],
      flags,
      details: `On a terminal it is a screen: "q" or Ctrl-C leaves it, the arrows choose the instance that is shown in full. In a
file or pipe it is a line for each instance and second, with --json its standing in one line.

OF THRESHOLD is the higher of bit rate and packet rate, each as a share of its threshold; above 100% is over. While the
daemon is away it says so and tries again. Leaving by "q", Ctrl-C or SIGTERM is exit code 0.`,
      examples: ['ringwall top', 'ringwall top i-web1 --json', 'ringwall top --local'],
      async run({ daemon, ...call }) {
        const ids = call.words.length === 0 ? null : await daemon.idsOf('instance', call.words)
        return show(daemonFeed(daemon.client, placeText(daemon.target.url), ids), call)
      },
      runLocally: call => show(agentFeed(call.words), call),
    }),
  ],
})

async function show(feed: Feed, call: TopCall): Promise<Result | null> {
  const { io, env } = call
  const isJson = (call.flags as CommonValues).json === true
  if (call.flags.once) return once(feed, io, isJson)
  using ending = new Ending(io)
  if (isJson || !canDraw(io, env))
    await ending.orEnd(watch(feed, lineViewer(io, isJson ? JSON.stringify : sampleLine), ending))
  else await draw(feed, call, ending)
  return null
}

async function once(feed: Feed, io: Io, isJson: boolean): Promise<Result | null> {
  const standings = await gather(feed)
  if (!isJson) return { answer: standings, text: width => standingTable(standings, width) }
  for (const standing of standings) io.stdout.write(`${JSON.stringify(standing)}\n`)
  return null
}

async function draw(feed: Feed, { io, env }: TopCall, ending: Ending): Promise<void> {
  using screen = new Screen(io, { onKey: press, onResize: redraw })
  using viewer = new ScreenViewer(screen, { source: feed.name, hasColors: hasColors(io, env) })
  function redraw(): void {
    viewer.draw()
  }
  function press(key: Key): void {
    if (key === 'quit') ending.end()
    else if (key === 'suspend') screen.suspend(redraw)
    else viewer.choose(key)
  }
  screen.open()
  await ending.orEnd(watch(feed, viewer, ending))
}
