/**
 * Follows an agent's records by HTTP and reads none of them until its standard input ends; then it reads until it is told
 * how many it has lost, and prints both numbers. Prints `open` when it follows.
 */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'

const [response] = (await once(get('http://127.0.0.1:9469/logs?follow'), 'response')) as [IncomingMessage]
response.pause()
console.log('open')
await once(process.stdin.resume(), 'end')

let records = 0
let lost = 0
for await (const line of createInterface({ input: response })) {
  const value = JSON.parse(line)
  if (value.where === 'reader') {
    lost += value.lost
    break
  }
  if (value.action !== undefined) records += 1
}
console.log(JSON.stringify({ records, lost }))
process.exit()
