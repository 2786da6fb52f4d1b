/** `/v1/backup` and `/v1/restore` */

import { randomUUID } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { ApiError } from '../errors.ts'
import { BackupBody, backupMediaType, receiveBackup } from '../http/backup-body.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import { nullable } from '../schemas/fields.ts'
import { restore } from '../services/backups.ts'
import { everyAccount, requireWrite } from '../services/principal.ts'
import { type Api, addWriteRoute } from './route.ts'

const tag = 'Backup'

/** Asked for before a body is read: it may be a gigabyte. */
export async function addBackupRoutes(app: FastifyInstance, api: Api): Promise<void> {
  await app.register(async routes => {
    routes.addHook('onRequest', async request => requireWrite(request.principal, everyAccount))
    addBackupRoute(routes, api)
    addRestoreRoute(routes, api)
  })
}

function addBackupRoute(app: FastifyInstance, { backups, audit }: Api): void {
  const action = 'ringwall:Backup'
  app.post('/v1/backup', {
    config: { action },
    schema: {
      summary: 'Read the whole state as a file',
      description: 'One revision of it, made while the daemon runs. It has the keys of the CA and must be kept safe.',
      tags: [tag],
      querystring: Type.Object({}, { additionalProperties: false }),
      response: {
        200: {
          description: 'An SQLite file; its revision is in the header Ringwall-Revision.',
          content: { [backupMediaType]: { schema: Type.Unknown({ contentMediaType: backupMediaType }) } },
        },
      },
    },
    handler: async (request, reply) => {
      const path = join(backups.folder, `backup-${randomUUID()}.db`)
      const { revision, bytes } = await backups.write(path)
      const file = await open(path)
      // It is read through the open descriptor, and gone with it, however this ends.
      await rm(path)
      const { id, kind, name } = request.principal
      audit.acted(
        {
          action,
          principal: { kind, id, name },
          sourceAddress: sourceAddressOf(request),
          requestId: request.id,
        },
        `backup of revision ${revision}, ${bytes} bytes`,
      )
      return reply
        .header('content-type', backupMediaType)
        .header('content-length', bytes)
        .header('content-disposition', `attachment; filename="ringwall-${revision}.db"`)
        .header('ringwall-revision', String(revision))
        .send(file.createReadStream())
    },
  })
}

function addRestoreRoute(app: FastifyInstance, api: Api): void {
  app.addContentTypeParser(backupMediaType, async (_request: FastifyRequest, payload: IncomingMessage) =>
    receiveBackup(payload, api.backups),
  )
  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/restore',
    summary: 'Make the state that of a backup',
    description:
      'As one commit: what was written since the backup is gone, but for the token that asks. A dry run says what that is.',
    tag,
    action: 'ringwall:Restore',
    body: { content: { [backupMediaType]: { schema: Type.Unknown({ contentMediaType: backupMediaType }) } } } as never,
    answer: Type.Object({
      backup: Type.Object({
        storeId: Type.String(),
        revision: Type.Integer({ description: 'The revision of that store that the backup is of.' }),
      }),
      objects: Type.Record(Type.String(), Type.Integer(), { description: 'How many there are since, by kind.' }),
      keptTokenId: nullable(
        Type.String({ description: 'The token that asked, if the backup does not have it; otherwise null.' }),
      ),
      authorityChanged: Type.Boolean({
        description: 'The CA of agents is another one: start the daemon again, so that it takes it up.',
      }),
    }),
    plan(world, { principal, body, nowMs }) {
      requireWrite(principal, everyAccount)
      const received: unknown = body
      if (!(received instanceof BackupBody)) {
        throw new ApiError(415, 'UnsupportedMediaType', `Cannot restore: expected a backup as ${backupMediaType}`)
      }
      return restore(world, { content: received.content, principal, nowMs })
    },
  })
}
