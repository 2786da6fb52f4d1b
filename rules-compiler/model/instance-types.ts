/** Thresholds of traffic scrubbing by instance type, as published: data/instance-types.csv. */
import { instanceTypeTable } from './instance-type-table.ts'

export interface InstanceTypeThresholds {
  /** In 10^6 bits a second. */
  readonly maxBpsMbit: number
  /** Packets a second. */
  readonly maxPps: number
}

const header = 'instance_type,max_bps_mbit,max_pps'

/**
 * The thresholds of every type of the table, in the order of the table. Lines may end in LF or CRLF.
 * @param csv  the header line `instance_type,max_bps_mbit,max_pps`, then one type a line, nothing quoted
 * @throws {Error} with the number of the first line that is faulty: not three fields, a threshold that is no whole
 * number above 0, a type for the second time
 */
export function parseInstanceTypes(csv: string): ReadonlyMap<string, InstanceTypeThresholds> {
  const [first = '', ...lines] = csv.replace(/\r?\n$/, '').split(/\r?\n/)
  if (first !== header) throw faultAt(1, first, `the header "${header}"`)
  const types = new Map<string, InstanceTypeThresholds>()
  for (const [index, line] of lines.entries()) {
    const number = index + 2
    const fields = /^([A-Za-z0-9._-]+),([1-9]\d{0,8}),([1-9]\d{0,8})$/.exec(line)
    if (fields === null) throw faultAt(number, line, 'a type and two whole numbers above 0, separated by commas')
    const [, type, maxBpsMbit, maxPps] = fields
    if (types.has(type!)) throw faultAt(number, line, 'a type that no earlier line has')
    types.set(type!, { maxBpsMbit: Number(maxBpsMbit), maxPps: Number(maxPps) })
  }
  return types
}

/** The published table: every type by its name. */
export const instanceTypes = parseInstanceTypes(instanceTypeTable)

/** @returns null for a type that the published table does not have, and for none */
export function thresholdsOfType(type: string | null): InstanceTypeThresholds | null {
  return (type !== null && instanceTypes.get(type)) || null
}

function faultAt(lineNumber: number, line: string, expected: string): Error {
  return new Error(`Cannot read instance types, line ${lineNumber}, "${line.slice(0, 80)}": expected ${expected}`)
}
