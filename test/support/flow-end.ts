/**
 * One end of a numbered flow, in a namespace: `flow-end.ts answer PORT` sends everything back, over UDP and TCP;
 * `flow-end.ts ask udp|tcp ADDRESS PORT` sends numbered messages until its stdin ends, then prints what it counted.
 *
 * The asking end has so few messages on the way that no socket's buffer can overflow, so one that is not answered was
 * lost in the network.
 */
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const messageBytes = 64
const perTick = 20
const tickMs = 5
const mostOnTheWay = 100
/** Anything on the way comes back long before, and ends it; a busy machine may stop an end for a while. */
const graceMs = 20_000

const [role, ...args] = process.argv.slice(2)
if (role === 'answer') answer(Number(args[0]))
else ask(args[0] as 'udp' | 'tcp', args[1]!, Number(args[2]))

function answer(port: number): void {
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' })
    socket.on('message', (data, { port: from, address }) => socket.send(data, from, address))
    socket.bind(port, ready)
  }
  createServer(socket =>
    socket
      .setNoDelay(true)
      .on('error', () => {})
      .pipe(socket),
  ).listen(port, '::', ready)
  let waiting = 3
  function ready(): void {
    waiting -= 1
    if (waiting === 0) console.log('ready')
  }
}

function ask(protocol: 'udp' | 'tcp', address: string, port: number): void {
  const onTheWay = new Set<number>()
  let sent = 0
  let stopping = false
  const send = protocol === 'udp' ? overUdp() : overTcp()

  function start(): void {
    console.log('ready')
    const ticker = setInterval(() => {
      for (let count = 0; count < perTick && onTheWay.size < mostOnTheWay && !stopping; count += 1) {
        sent += 1
        onTheWay.add(sent)
        const message = Buffer.alloc(messageBytes)
        message.writeUInt32BE(sent)
        send(message)
      }
      if (stopping && onTheWay.size === 0) finish()
    }, tickMs)
    process.stdin
      .on('data', () => {})
      .on('end', () => {
        stopping = true
        setTimeout(finish, graceMs)
      })
    function finish(): void {
      clearInterval(ticker)
      console.log(JSON.stringify({ sent, lost: onTheWay.size }))
      process.exit(0)
    }
  }

  function overUdp(): (message: Buffer) => void {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', data => onTheWay.delete(data.readUInt32BE()))
    socket.connect(port, address, start)
    return message => socket.send(message)
  }

  function overTcp(): (message: Buffer) => void {
    const socket = connect(port, address, start)
    socket.setNoDelay(true)
    let rest = Buffer.alloc(0)
    socket.on('data', data => {
      rest = Buffer.concat([rest, data])
      for (; rest.length >= messageBytes; rest = rest.subarray(messageBytes)) onTheWay.delete(rest.readUInt32BE())
    })
    return message => socket.write(message)
  }
}
