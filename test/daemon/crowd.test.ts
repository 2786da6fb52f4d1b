/** Whoever holds connections to the API open, however many, keeps nobody else out: on sockets, in the clear and by TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { startApi, type TestApi } from '../support/api.ts'
import { issue, makeAuthority } from '../support/certificates.ts'

const mostConnections = 4

interface Client {
  readonly socket: Socket
  isClosed: boolean
  /** Sends a request over the connection, which stays, and resolves with the status of the answer. */
  ask(path: string, token?: string): Promise<number>
}

for (const kind of ['in the clear', 'by TLS'] as const) {
  describe(kind, () => {
    async function setScene() {
      const authority = await makeAuthority()
      const { certificate, privateKey } = await issue(authority, { usage: 'server' })
      const tls = kind === 'by TLS' ? { tls: { certificate, key: privateKey } } : {}
      const api = await startApi({ ...tls, maxConnections: mostConnections })
      await api.app.listen({ host: '127.0.0.1', port: 0 })
      const clients: Client[] = []
      return {
        api,
        open: async (localAddress: string) => {
          const client = await openClient(api, localAddress)
          clients.push(client)
          return client
        },
        async [Symbol.asyncDispose]() {
          for (const { socket } of clients) socket.destroy()
          await api[Symbol.asyncDispose]()
        },
      }
    }

    async function openClient(api: TestApi, localAddress: string): Promise<Client> {
      const { port } = api.app.server.address() as AddressInfo
      const tcp = connect({ host: '127.0.0.1', port, localAddress })
      const socket = kind === 'by TLS' ? connectTls({ socket: tcp, rejectUnauthorized: false }) : tcp
      const client: Client = {
        socket,
        isClosed: false,
        async ask(path, token) {
          const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
          socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`)
          const [answer] = await once(socket, 'data')
          return Number(/^HTTP\/1\.1 (\d+)/.exec(String(answer))?.[1])
        },
      }
      tcp.on('error', () => {})
      socket.on('error', () => {})
      socket.once('close', () => {
        client.isClosed = true
      })
      await new Promise(resolve => {
        socket.once(kind === 'by TLS' ? 'secureConnect' : 'connect', resolve)
        socket.once('close', resolve)
      })
      return client
    }

    const isOver = async (client: Client) => {
      client.socket.resume()
      if (!client.isClosed) await once(client.socket, 'close')
    }

    test('the oldest of the source with most strangers makes room for who comes, and who is known stays', async () => {
      await using scene = await setScene()
      const { api, open } = scene
      const operator = await open('127.0.0.2')
      assert.equal(await operator.ask('/v1/whoami', api.token), 200)
      const idle: Client[] = []
      for (let count = 0; count < 10; count += 1) idle.push(await open('127.0.0.2'))
      for (const client of idle.slice(0, 7)) await isOver(client)
      const newcomer = await open('127.0.0.3')
      assert.equal(await newcomer.ask('/health'), 200)
      await isOver(idle[7]!)
      const another = await open('127.0.0.2')
      await isOver(idle[8]!)
      assert.deepEqual(
        [operator, newcomer, idle[9]!, another].map(({ isClosed }) => isClosed),
        [false, false, false, false],
      )
      assert.equal(await operator.ask('/v1/whoami', api.token), 200)
    })

    test('where all are known nobody else comes in until one leaves', async () => {
      await using scene = await setScene()
      const { api, open } = scene
      const known: Client[] = []
      for (let count = 0; count < mostConnections; count += 1) {
        const client = await open('127.0.0.2')
        assert.equal(await client.ask('/v1/whoami', api.token), 200)
        known.push(client)
      }
      await isOver(await open('127.0.0.3'))
      known[0]!.socket.destroy()
      for (let status = 0; status !== 200; ) {
        const client = await open('127.0.0.3')
        status = await Promise.race([client.ask('/health').catch(() => 0), isOver(client).then(() => 0)])
      }
    })
  })
}
