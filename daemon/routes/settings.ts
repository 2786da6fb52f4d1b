/** `/v1/settings` and `/v1/limits` */
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { settingsId } from '../model/documents.ts'
import { limitNames, limitsSchema, limitText, modifySettingsSchema, settingsSchema } from '../schemas/settings.ts'
import { limitUses } from '../services/limits.ts'
import { everyAccount, mayRead, requireRead, requireWrite } from '../services/principal.ts'
import { modifySettings, showSettings } from '../services/settings.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

const tag = 'Settings'

export function addSettingsRoutes(app: FastifyInstance, api: Api): void {
  addReadRoute(app, api, {
    url: '/v1/settings',
    summary: 'Read the settings',
    tag,
    answer: Type.Object({ settings: settingsSchema }),
    etag: 'settings',
    read(world, { principal }) {
      requireRead(principal, everyAccount)
      return { settings: showSettings(world.settings, world.revisionOf('settings', settingsId)) }
    },
  })

  addWriteRoute(app, api, {
    method: 'PATCH',
    url: '/v1/settings',
    summary: 'Change the settings',
    description: 'A limit cannot be set below what is there already.',
    tag,
    action: 'ringwall:ModifySettings',
    body: modifySettingsSchema,
    answer: Type.Object({ settings: settingsSchema }),
    etag: 'settings',
    subject: () => ({ kind: 'settings', id: settingsId }),
    plan(world, { principal, body }) {
      requireWrite(principal, everyAccount)
      return modifySettings(world, body)
    },
  })

  addReadRoute(app, api, {
    url: '/v1/limits',
    summary: 'Say how far each limit is used up',
    description: 'Over what the token may see.',
    tag,
    answer: limitsSchema,
    read(world, { principal }) {
      const uses = limitUses(world, accountId => mayRead(principal, accountId))
      return {
        limits: limitNames.map(limit => ({
          limit,
          description: limitText(limit),
          maximum: world.settings.limits[limit],
          ...uses.get(limit)!,
        })),
      }
    },
  })
}
