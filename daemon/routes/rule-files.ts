/** `/v1/security-groups/{securityGroupId}/export` and `…/import` */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { ApiError } from '../errors.ts'
import { readBodyText } from '../http/body-text.ts'
import { exportedRuleSchema, importSchema, permissionSchema } from '../schemas/rules.ts'
import { visible, writable } from '../services/principal.ts'
import { ruleActionsOf } from '../services/rule-actions.ts'
import { exportCsv, exportRules, importRules, type RuleFile } from '../services/rule-files.ts'
import { type Api, addWriteRoute } from './route.ts'
import { groupParams, groupSubject } from './security-groups.ts'

const tag = 'Rules'
const csv = 'text/csv; charset=utf-8'
const csvText = Type.String({
  description: 'A header line with names of fields, then a line for each rule (RFC 4180).',
})

const exportQuery = Type.Object(
  { format: Type.Optional(Type.Enum(['json', 'csv'], { description: 'json if left out.', default: 'json' })) },
  { additionalProperties: false },
)

const importQuery = Type.Object({
  mode: Type.Optional(
    Type.Enum(['append', 'replace'], {
      description: 'append, if left out, adds to the rules there are; replace leaves no others.',
      default: 'append',
    }),
  ),
})

export async function addRuleFileRoutes(app: FastifyInstance, api: Api): Promise<void> {
  addExportRoute(app, api)
  await app.register(async routes => addImportRoute(routes, api))
}

/** The one that takes CSV. */
function addImportRoute(app: FastifyInstance, api: Api): void {
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, async (request: FastifyRequest, bytes: Buffer) =>
    readBodyText(request, bytes),
  )
  addWriteRoute(app, api, {
    method: 'POST',
    url: '/v1/security-groups/:securityGroupId/import',
    summary: 'Import rules from JSON or CSV',
    description:
      'All or nothing; every bad rule is told, as `permissions[3].portRange` or `line 4`. Priority 110, which the rules of default groups had once, is taken in those and becomes 100.',
    tag,
    action: 'ecs:AuthorizeSecurityGroup',
    // A rule that stays gets the description of the file, as by authorizing it again.
    actionsOf: changes => ruleActionsOf(changes, 'authorize'),
    params: groupParams,
    query: importQuery,
    body: Type.Unsafe<RuleFile | undefined>({
      content: { 'application/json': { schema: importSchema }, 'text/csv': { schema: csvText } },
    }),
    answer: Type.Object({ permissions: Type.Array(permissionSchema) }),
    subject: groupSubject,
    plan(world, { principal, params, query, body, nowMs }) {
      const group = writable(world, principal, 'group', params.securityGroupId)
      if (body === undefined) throw noBody()
      return importRules({ world, principal, group, nowMs }, body, query.mode ?? 'append')
    },
  })
}

function noBody(): ApiError {
  const message = 'Cannot import without a body: expected {"permissions": […]} or text/csv'
  return new ApiError(400, 'MissingParameter', message, {
    errors: [{ code: 'missing', field: 'permissions', message }],
  })
}

function addExportRoute(app: FastifyInstance, { world }: Api): void {
  app.route({
    method: 'GET',
    url: '/v1/security-groups/:securityGroupId/export',
    schema: {
      summary: 'Export rules as JSON or CSV',
      description: 'As import takes them.',
      tags: [tag],
      params: groupParams,
      querystring: exportQuery,
      response: {
        200: {
          content: {
            'application/json': { schema: Type.Object({ permissions: Type.Array(exportedRuleSchema) }) },
            'text/csv': { schema: csvText },
          },
        },
      },
    },
    handler: async ({ principal, params, query }, reply) => {
      const { securityGroupId } = params as Static<typeof groupParams>
      const group = visible(world, principal, 'group', securityGroupId)
      const { format = 'json' } = query as Static<typeof exportQuery>
      reply.header('content-disposition', `attachment; filename="${group.id}.${format}"`)
      if (format === 'json') return exportRules(group)
      return reply.header('content-type', csv).serializer(String).send(exportCsv(group))
    },
  })
}
