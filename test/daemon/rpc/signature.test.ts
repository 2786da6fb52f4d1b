/** Signatures: the published examples, and what is no good signature. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { ApiError } from '../../../daemon/errors.ts'
import { Nonces } from '../../../daemon/rpc/nonces.ts'
import { canonicalPairs, encode, growTree, type Pair, readPairs } from '../../../daemon/rpc/pairs.ts'
import { isSignedWith, readClaim, type SignedRequest } from '../../../daemon/rpc/signature.ts'

const code = (expected: string) => (error: ApiError) => error.status === 400 && error.code === expected

function get(query: Readonly<Record<string, string>>, more: Partial<SignedRequest> = {}): SignedRequest {
  return { method: 'GET', headers: {}, query: Object.entries(query), form: [], rawBody: new Uint8Array(), ...more }
}

/** The published example of version 1.0; secret `testsecret`. */
const version1 = {
  AccessKeyId: 'testid',
  Action: 'DescribeRegions',
  Format: 'XML',
  SignatureMethod: 'HMAC-SHA1',
  SignatureVersion: '1.0',
  Version: '2014-05-26',
  SignatureNonce: '3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf',
  Timestamp: '2016-02-23T12:46:24Z',
  Signature: 'OLeaidS1JvxuMvnyHOwuJ+uX5qY=',
}

const emptyHash = createHash('sha256').digest('hex')
const acs3Headers = {
  host: 'ecs.cn-shanghai.aliyuncs.com',
  'x-acs-action': 'RunInstances',
  'x-acs-content-sha256': emptyHash,
  'x-acs-date': '2023-10-26T10:22:32Z',
  'x-acs-signature-nonce': '3156853299f313e23d1673dc12e1703d',
  'x-acs-version': '2014-05-26',
}
const acs3Query = {
  ImageId: 'win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd',
  RegionId: 'cn-shanghai',
}

/** The published example of ACS3; secret `YourAccessKeySecret`. */
function acs3(headers: Readonly<Record<string, string>> = {}, more: Partial<SignedRequest> = {}): SignedRequest {
  const signed = Object.keys(acs3Headers).toSorted().join(';')
  const signature = '06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0'
  const authorization = `ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=${signed},Signature=${signature}`
  return get(acs3Query, { method: 'POST', headers: { ...acs3Headers, authorization, ...headers }, ...more })
}

describe('HMAC-SHA1', () => {
  test('the published example', () => {
    const claim = readClaim(get(version1))
    assert.equal(isSignedWith(claim, 'testsecret'), true)
    assert.equal(isSignedWith(claim, 'testsecres'), false)
    assert.equal(isSignedWith(claim, ''), false)
    assert.deepEqual([claim.accessKeyId, claim.action, claim.version], ['testid', 'DescribeRegions', '2014-05-26'])
    assert.deepEqual(claim.parameters, [])
  })

  test('does not depend on the order, nor on which parameters are in the form', () => {
    const pairs = Object.entries(version1)
    const claim = readClaim({ ...get({}), query: pairs.slice(4).toReversed(), form: pairs.slice(0, 4) })
    assert.equal(isSignedWith(claim, 'testsecret'), true)
  })

  for (const [name, changed] of Object.entries({
    'another action': { ...version1, Action: 'DescribeRegion' },
    'a parameter more': { ...version1, RegionId: '' },
    'another method': version1,
    'a shorter signature': { ...version1, Signature: version1.Signature.slice(4) },
    'a signature that is no base64': { ...version1, Signature: '%%%' },
  })) {
    test(`${name} is not what was signed`, () => {
      const method = name === 'another method' ? 'POST' : 'GET'
      assert.equal(isSignedWith(readClaim(get(changed, { method })), 'testsecret'), false)
    })
  }

  for (const name of Object.keys(version1).filter(each => each !== 'Format')) {
    test(`without ${name} is refused`, () => {
      assert.throws(() => readClaim(get({ ...version1, [name]: '' })), code('MissingParameter'))
    })
  }

  test('times that are none are refused, fractions of seconds taken', () => {
    const at = (Timestamp: string) => readClaim(get({ ...version1, Timestamp })).signedAtMs
    assert.equal(at('2016-02-23T12:46:24.5Z'), Date.UTC(2016, 1, 23, 12, 46, 24, 500))
    for (const text of ['2016-02-23 12:46:24', '2016-02-23T12:46:24+08:00', '2016-13-23T12:46:24Z', 'now']) {
      assert.throws(() => at(text), code('InvalidTimeStamp.Format'))
    }
  })
})

describe('ACS3-HMAC-SHA256', () => {
  test('the published example', () => {
    const claim = readClaim(acs3())
    assert.equal(isSignedWith(claim, 'YourAccessKeySecret'), true)
    assert.equal(isSignedWith(claim, 'YourAccessKeySecreT'), false)
    assert.deepEqual([claim.accessKeyId, claim.action], ['YourAccessKeyId', 'RunInstances'])
  })

  for (const header of Object.keys(acs3Headers).filter(name => name !== 'x-acs-content-sha256')) {
    test(`another ${header} is not what was signed`, () => {
      const value = header === 'x-acs-date' ? '2023-10-26T10:22:33Z' : 'other'
      assert.equal(isSignedWith(readClaim(acs3({ [header]: value })), 'YourAccessKeySecret'), false)
    })
  }

  for (const header of Object.keys(acs3Headers)) {
    test(`${header} must be there, and signed`, () => {
      const { [header as keyof typeof acs3Headers]: _, ...others } = acs3().headers as Record<string, string>
      assert.throws(() => readClaim({ ...acs3(), headers: others }), code('MissingParameter'))
      const authorization = others.authorization ?? acs3().headers.authorization
      const unsigned = String(authorization).replace(new RegExp(`${header};|;${header}(?=,)`), '')
      assert.throws(() => readClaim(acs3({ authorization: unsigned })), code('IncompleteSignature'))
    })
  }

  test('a body that is not the one that was hashed is refused', () => {
    const changed = acs3({}, { rawBody: Buffer.from('a') })
    assert.throws(() => readClaim(changed), code('SignatureDoesNotMatch'))
  })

  test('a body whose type is not signed is refused: who stands between could make none of a form', () => {
    const rawBody = Buffer.from('DryRun=true')
    const headers = { 'x-acs-content-sha256': createHash('sha256').update(rawBody).digest('hex') }
    assert.throws(() => readClaim(acs3(headers, { rawBody })), code('IncompleteSignature'))
  })

  test('an Authorization that cannot be read is refused', () => {
    for (const text of ['ACS3-HMAC-SHA256', 'ACS3-HMAC-SHA256 Credential=a', `${acs3().headers.authorization}0`]) {
      assert.throws(() => readClaim(acs3({ authorization: text })), code('IncompleteSignature'))
    }
  })
})

describe('parameters', () => {
  test('are decoded, and encoded as RFC 3986 has it', () => {
    assert.deepEqual(readPairs('a=1&b=&c&d=x%20y+z&%E4%B8%AD=%2B&&'), [
      ['a', '1'],
      ['b', ''],
      ['c', ''],
      ['d', 'x y z'],
      ['中', '+'],
    ])
    assert.equal(encode("~!'()* +中"), '~%21%27%28%29%2A%20%2B%E4%B8%AD')
    assert.equal(encode('\ud800'), '%EF%BF%BD')
  })

  test('that cannot be read, or are too many, are refused', () => {
    for (const text of ['a=%', 'a=%zz', '%ff=1']) assert.throws(() => readPairs(text), code('InvalidParameter'))
    assert.throws(() => readPairs('&'.repeat(1_000_000)), code('InvalidParameter'))
  })

  test('survive encoding, whatever they hold', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 6 }), given => {
        const pairs = given.filter(([name]) => name !== '') as Pair[]
        const wire = pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
        assert.deepEqual(readPairs(wire), pairs)
        assert.equal(canonicalPairs(pairs), canonicalPairs(pairs.toSorted(([a], [b]) => (a < b ? -1 : 1))))
      }),
    )
  })

  test('with dots become lists and objects', () => {
    const { children } = growTree(readPairs('Tag.2.Key=b&Tag.1.Key=a&Attachment.InstanceId=i-1&Name=n'))
    assert.equal(children.get('Name'), 'n')
    assert.deepEqual(JSON.stringify([...children.keys()]), '["Tag","Attachment","Name"]')
  })

  test('that stand twice, or as a text and as a list, are refused', () => {
    for (const text of ['a=1&a=1', 'a=1&a.1=2', 'a.1=2&a=1', 'a..1=2', '.=1', 'a.1.2.3.4.5.6=1', '=1']) {
      assert.throws(() => growTree(readPairs(text)), code('InvalidParameter'), text)
    }
  })

  test('named after what objects have of their own are names like any other', () => {
    const { children } = growTree(readPairs('__proto__.polluted=1&constructor=2'))
    assert.equal(children.get('constructor'), '2')
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  })
})

describe('a nonce', () => {
  const startMs = Date.UTC(2026, 2, 1)
  const minute = 60_000

  test('counts once for a key', () => {
    const nonces = new Nonces(startMs)
    nonces.take('a', 'n', startMs, startMs)
    nonces.take('b', 'n', startMs, startMs)
    assert.throws(() => nonces.take('a', 'n', startMs, startMs), code('SignatureNonceUsed'))
    assert.throws(
      () => nonces.take('a', 'n', startMs + 15 * minute, startMs + 15 * minute - 1),
      code('SignatureNonceUsed'),
    )
  })

  test('is forgotten only when its signature would be too old', () => {
    const nonces = new Nonces(startMs)
    const signedAtMs = startMs + 10 * minute
    nonces.take('a', 'n', signedAtMs, startMs)
    nonces.forget(signedAtMs + 15 * minute - 1)
    assert.throws(() => nonces.take('a', 'n', signedAtMs, signedAtMs + 15 * minute - 1), code('SignatureNonceUsed'))
    assert.throws(
      () => nonces.take('a', 'n', signedAtMs, signedAtMs + 15 * minute + 1),
      code('InvalidTimeStamp.Expired'),
    )
  })

  test('of one key are so many and no more, and leave others alone', () => {
    const nonces = new Nonces(startMs, 2)
    for (const nonce of ['a', 'b']) nonces.take('busy', nonce, startMs, startMs)
    assert.throws(() => nonces.take('busy', 'c', startMs, startMs), code('Throttling.User'))
    nonces.take('other', 'c', startMs, startMs)
    nonces.take('busy', 'c', startMs + 15 * minute + 1, startMs + 15 * minute + 1)
  })

  test('of a request from before the start, or too far off, is refused', () => {
    const nonces = new Nonces(startMs + 500)
    nonces.take('a', 'same second', startMs, startMs + 700)
    assert.throws(() => nonces.take('a', 'n', startMs - 1, startMs), code('InvalidTimeStamp.Expired'))
    assert.throws(() => nonces.take('a', 'n', startMs + 16 * minute, startMs), code('InvalidTimeStamp.Expired'))
  })
})
