/** How long certificates of agents are good for, in days: docs/decisions/0012-access-control-and-the-rpc-api.md. */

export const dayMs = 24 * 3600 * 1000

export const certificateDays = { usual: 7, most: 365 } as const
/** After its end, for renewal and nothing else. */
export const renewalGraceDays = { usual: 30, most: 365 } as const

/** After this a certificate is good for nothing, whatever was set when it was signed or is set now. */
export const longestUseMs = (certificateDays.most + renewalGraceDays.most) * dayMs
