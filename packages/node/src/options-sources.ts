import * as v from 'valibot'
import {
  ageValue,
  choiceValue,
  listValue,
  policyRuleValue,
  secondsValue,
  switchValue,
  textValue,
  urlValue,
} from './option-values.ts'
import type { OptionTable } from './settings.ts'

/** Who is asked where nothing else is said. */
export const defaultUpstream = 'https://proxy.golang.org'

/** Options about who is asked, and what is given to `go`. */
export const sourceOptions: OptionTable<
  | 'upstream'
  | 'sumdb'
  | 's3'
  | 'private'
  | 'noproxy'
  | 'ttl'
  | 'negativeTtl'
  | 'fetchTimeout'
  | 'goauth'
  | 'caFile'
  | 'offline'
  | 'policy'
  | 'minAge'
  | 'validator'
  | 'validatorFailure'
> = {
  upstream: {
    group: 'Sources',
    kind: 'routes',
    placeholder: 'LIST',
    help: 'upstream proxies in GOPROXY syntax, `off` for none; repeatable with GLOBS=LIST for some module paths',
    schema: v.string(),
    secret: true,
    fallback: () => defaultUpstream,
    fallbackText: defaultUpstream,
  },
  sumdb: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'DATABASE',
    help: 'checksum database in GOSUMDB syntax: `name`, `name+hash+key`, `name+hash+key URL`, or `off`',
    schema: v.string(),
    fallback: () => 'sum.golang.org',
    fallbackText: 'sum.golang.org',
  },
  s3: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'URL',
    help: 'bucket shared by nodes: s3://BUCKET/PREFIX[?endpoint=&region=&style=&access=&profile=]',
    schema: textValue,
    secret: true,
    fallback: () => undefined,
  },
  private: {
    group: 'Sources',
    kind: 'list',
    placeholder: 'GLOBS',
    help: 'module paths as in GOPRIVATE: never looked up at the checksum database, never announced',
    schema: listValue(textValue),
    fallback: () => [],
  },
  noproxy: {
    group: 'Sources',
    kind: 'list',
    placeholder: 'GLOBS',
    help: 'module paths never asked of an upstream proxy; empty for none',
    schema: listValue(textValue),
    emptyEnv: true,
    fallback: () => undefined,
    fallbackText: 'as --private',
  },
  ttl: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'how long version lists, @latest and branch answers are kept',
    schema: secondsValue(0),
    fallback: () => 60,
    fallbackText: '60',
  },
  negativeTtl: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'how long "not found" of upstream is kept',
    schema: secondsValue(0),
    fallback: () => 10,
    fallbackText: '10',
  },
  fetchTimeout: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'longest wait of one request for outside answers, retries and database included',
    schema: secondsValue(0.1),
    fallback: () => 300,
    fallbackText: '300',
  },
  goauth: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'COMMANDS',
    help: 'credentials for https upstreams in GOAUTH syntax: `netrc`, `netrc FILE`, `git DIR`, a command, or `off`',
    schema: textValue,
    secret: true,
    fallback: ({ env }) => env.GOAUTH || 'netrc',
    fallbackText: 'the variable GOAUTH, or netrc',
  },
  caFile: {
    group: 'Sources',
    kind: 'path',
    placeholder: 'FILE',
    help: 'certificates (PEM) to trust for upstream beside the system’s',
    schema: textValue,
    fallback: () => undefined,
  },
  offline: {
    group: 'Sources',
    kind: 'switch',
    placeholder: 'on|off',
    help: 'ask no upstream and no database; peers and the bucket are still asked',
    schema: switchValue,
    fallback: () => false,
    fallbackText: 'off',
  },
  policy: {
    group: 'Policy',
    kind: 'rules',
    placeholder: 'RULE',
    help: '`allow|deny GLOBS[@VERSIONS] [min-age=AGE] [# REASON]`; the first rule that matches decides; repeatable',
    schema: listValue(policyRuleValue, ';'),
    fallback: () => [],
    fallbackText: 'everything is allowed',
  },
  minAge: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'AGE',
    help: 'how old a version must be to be given to `go`: 12h, 7d',
    schema: ageValue,
    fallback: () => 0,
    fallbackText: '0',
  },
  validator: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'URL',
    help: 'is sent each module version that is asked for (POST, JSON): 200 allows, 403 denies with its text',
    schema: urlValue,
    secret: true,
    fallback: () => undefined,
  },
  validatorFailure: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'MODE',
    help: 'when the validator does not answer: open allows everything, closed nothing',
    schema: choiceValue(['open', 'closed']),
    fallback: () => 'closed',
    fallbackText: 'closed',
  },
}
