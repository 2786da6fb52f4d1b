/** Regions and zones: there is one of each. That of anti-DDoS has another shape: see ddos.ts. */
import Type from 'typebox'
import { type Product, readAction } from '../action.ts'

const products = ['ecs', 'vpc'] as const satisfies readonly Product[]

export const regionActions = products.map(product =>
  readAction({
    product,
    name: 'DescribeRegions',
    summary: 'the one region there is',
    parameters: Type.Object({}),
    read(_world, { regionId, api }) {
      const region = { RegionId: regionId, LocalName: regionId, RegionEndpoint: '', Status: 'available' }
      return {
        Regions: {
          Region:
            regionId === api.regionId
              ? [region]
              : [region, { ...region, RegionId: api.regionId, LocalName: api.regionId }],
        },
      }
    },
  }),
)
