/** How `ringwall top` shows what it follows: on a screen, as lines, or as JSON lines. */
import { styleText } from 'node:util'
import type { Io } from '../command.ts'
import type { Key, Screen } from '../output/screen.ts'
import { Board } from './board.ts'
import type { Standing } from './standing.ts'
import { chosenIndex, type Paint, type Style, topLines, unpainted } from './top-screen.ts'
import type { Viewer } from './watch.ts'

/**
 * A line for each sample; what is wrong goes to the other output.
 * @param text  of an instance as it stands with its newest sample
 */
export function lineViewer({ stdout, stderr }: Io, text: (standing: Standing) => string): Viewer {
  const board = new Board()
  return {
    standings: (standings, watchedIds) => board.takeStandings(standings, watchedIds, performance.now()),
    sample(sample) {
      const standing = board.takeSample(sample, performance.now())
      if (standing !== null) stdout.write(`${text(standing)}\n`)
    },
    trouble: message => stderr.write(`${message ?? back}\n`),
  }
}

const back = 'It answers again.'

export interface ScreenViewerOptions {
  /** Who is asked, for people. */
  readonly source: string
  readonly hasColors: boolean
}

/** Samples of many instances come at any time: they are drawn together. */
const drawEveryMs = 1000

export class ScreenViewer implements Viewer, Disposable {
  readonly #screen: Screen
  readonly #options: ScreenViewerOptions
  readonly #board = new Board()
  readonly #timer: NodeJS.Timeout
  #chosen: string | null = null
  #trouble: string | null = null
  #isFirst = true

  constructor(screen: Screen, options: ScreenViewerOptions) {
    this.#screen = screen
    this.#options = options
    this.#timer = setInterval(() => this.draw(), drawEveryMs)
  }

  standings(...[standings, watchedIds]: Parameters<Viewer['standings']>): void {
    this.#board.takeStandings(standings, watchedIds, performance.now())
    if (this.#isFirst) this.draw()
    this.#isFirst = false
  }

  sample(sample: Parameters<Viewer['sample']>[0]): void {
    this.#board.takeSample(sample, performance.now())
  }

  trouble(message: string | null): void {
    this.#trouble = message
    this.draw()
  }

  choose(key: Extract<Key, 'up' | 'down'>): void {
    const rows = this.#board.rows(performance.now())
    const index = chosenIndex({ rows, chosen: this.#chosen }) + (key === 'up' ? -1 : 1)
    this.#chosen = rows[Math.min(rows.length - 1, Math.max(0, index))]?.standing.instanceId ?? null
    this.draw()
  }

  draw(): void {
    const view = {
      source: this.#options.source,
      time: new Date().toISOString(),
      rows: this.#board.rows(performance.now()),
      chosen: this.#chosen,
      trouble: this.#trouble,
      hasKeys: this.#screen.hasKeys,
    }
    this.#screen.draw(topLines(view, this.#screen.size, this.#options.hasColors ? painted : unpainted))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

const styles: Readonly<Record<Style, Parameters<typeof styleText>[0]>> = {
  heading: 'bold',
  chosen: 'inverse',
  warning: 'yellow',
  alarm: 'red',
  faint: 'dim',
}

const painted: Paint = (style, text) => styleText(styles[style], text, { validateStream: false })
