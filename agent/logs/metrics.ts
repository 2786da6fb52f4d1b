/** What reading the kernel's log tells Prometheus. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { counterBy } from '../../common/counter-by.ts'

/** `foreign`: of somebody else who logs to the same group. */
const recordActions = ['drop', 'observe', 'accept', 'foreign'] as const
/** `kernel`: its buffer overran; `agent`: more than it takes a second; `reader`: who followed was slow; `file`: the disk refused. */
const lossPlaces = ['kernel', 'agent', 'reader', 'file'] as const
export type LossPlace = (typeof lossPlaces)[number]

export type LogMetrics = ReturnType<typeof createLogMetrics>

export function createLogMetrics(registry: Registry) {
  const registers = [registry]
  const records = counterBy({
    name: 'ringwall_agent_log_records_total',
    help: 'Packets read from the kernel’s log, by what became of them, while somebody asks for them. A rise of "drop" means refused traffic; of "foreign" that another program logs to our group.',
    label: 'action',
    values: recordActions,
    registers,
  })
  const lost = counterBy({
    name: 'ringwall_agent_log_records_lost_total',
    help: 'Packets of the kernel’s log that somebody who asked for them has not been told of, by where they were lost. A rise of "kernel" or "agent" means a busy host, of "reader" one that reads too slowly, of "file" a full disk.',
    label: 'where',
    values: lossPlaces,
    registers,
  })
  const reading = new Gauge({
    name: 'ringwall_agent_log_reading',
    help: '1 while the kernel’s log is read. 0 means that nobody asks for it, or that it cannot be read; the log of the agent says which.',
    registers,
  })
  reading.set(0)
  const starts = new Counter({
    name: 'ringwall_agent_log_reader_starts_total',
    help: 'Times the program that reads the kernel’s log was started. A steady rise means that it ends again and again.',
    registers,
  })
  return { records, lost, reading, starts }
}
