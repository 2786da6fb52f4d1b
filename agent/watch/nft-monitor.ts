/**
 * Tells of every change of the network namespace's nftables rules, ours and others': one line a transaction, with the
 * process that made it, and one for each table that it touches. What changed is found by reading.
 *
 * A program of our own prints them (nft-generations.pl says why) where perl is installed, otherwise `nft monitor`, which
 * leaves out elements of concatenated interval sets.
 */
import { join } from 'node:path'
import type { CommandPrefix } from '../../common/exec.ts'
import { type Watch, watchLines } from './line-watch.ts'

export interface Generation {
  /** Counts the transactions of the network namespace. */
  readonly generation: number
  /** Of the process that made it, as this process would name it; in a container, `nft monitor` gives the machine's pid. */
  readonly pid: number
  /** Its name, 15 characters at most: `nft`, `iptables-nft-re`. */
  readonly process: string
  /** Those of `watchedTables` that it is heard to have changed. */
  readonly touched?: readonly string[]
}

export interface GenerationWatchOptions {
  readonly prefix?: CommandPrefix
  /**
   * `inet t`: generations tell which of them they have something to do with. Without perl, elements of concatenated interval
   * sets are left out: a table that has some may be changed without being told of.
   */
  readonly watchedTables?: readonly string[]
  readonly onGeneration: (generation: Generation) => void
  /** Generations may have been missed; listening again, so that what is read from now on is not older than what is heard. */
  readonly onGap: (reason: string) => void
  /** The monitor ended and is started again; each time of many in a row. */
  readonly onDown?: (reason: string) => void
}

/** NETLINK_NETFILTER and NFNLGRP_NFTABLES. */
const netlink = { protocol: 12, group: 7 } as const
const program = join(import.meta.dirname, 'nft-generations.pl')
/** The shell becomes the one or the other, so that its pid is the listener's. */
const listener = ['sh', '-c', 'command -v perl >/dev/null && exec perl "$0"; exec nft monitor', program]
const generationLine = /^# new generation (\d+) by process (\d+) \((.*)\)$/
/** The kernel's buffer for the monitor overran (ENOBUFS); the monitor goes on by itself. */
const lossLine = /^# ERROR: We lost some netlink events/

export function watchGenerations({
  prefix = [],
  watchedTables,
  onGeneration,
  onGap,
  onDown,
}: GenerationWatchOptions): Watch {
  let downReason = ''
  const touched = new Set<string>()
  const names = (line: string, table: string) => line.includes(`${table} `) || line.endsWith(table)
  return watchLines({
    command: [...prefix, ...listener],
    netlink,
    onLine(line) {
      // Every element added is a line too: the first character sorts those out.
      if (!line.startsWith('#')) {
        for (const table of watchedTables ?? []) if (names(line, table)) touched.add(table)
        return
      }
      const [, generation, pid, process = ''] = generationLine.exec(line) ?? []
      if (generation !== undefined) {
        const told = watchedTables !== undefined && { touched: [...touched] }
        touched.clear()
        onGeneration({ generation: Number(generation), pid: Number(pid), process, ...told })
      } else if (lossLine.test(line)) onGap('nft monitor lost events')
    },
    onUp(first) {
      if (!first) onGap(downReason)
    },
    onDown(reason) {
      downReason = reason
      touched.clear()
      onDown?.(reason)
    },
  })
}
