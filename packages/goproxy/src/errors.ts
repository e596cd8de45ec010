/** A request target that names nothing this server could ever have: 404 with the reason. */
export class InvalidRequestTargetError extends Error {
  readonly code = 'INVALID_REQUEST_TARGET'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'InvalidRequestTargetError'
  }
}

/** A list of upstreams that is not GOPROXY syntax. */
export class InvalidProxyListError extends Error {
  readonly code = 'INVALID_PROXY_LIST'
  constructor(reason: string) {
    super(reason)
    this.name = 'InvalidProxyListError'
  }
}

/** A request that came of a request of our own: upstreams that lead back to us. */
export class LoopError extends Error {
  readonly code = 'LOOP'
  constructor(reason: string) {
    super(reason)
    this.name = 'LoopError'
  }
}

/** Commands for credentials that are not GOAUTH syntax. */
export class InvalidGoauthError extends Error {
  readonly code = 'INVALID_GOAUTH'
  constructor(reason: string) {
    super(reason)
    this.name = 'InvalidGoauthError'
  }
}

/** A proxy variable of the environment that cannot be used. */
export class InvalidEnvProxyError extends Error {
  readonly code = 'INVALID_ENV_PROXY'
  constructor(reason: string) {
    super(reason)
    this.name = 'InvalidEnvProxyError'
  }
}

/** A certificate file that cannot be read or holds no certificate. */
export class InvalidCaFileError extends Error {
  readonly code = 'INVALID_CA_FILE'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'InvalidCaFileError'
  }
}

/** An address to listen on that cannot be understood or used. */
export class ListenError extends Error {
  readonly code = 'LISTEN'
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'ListenError'
  }
}

/** What the local port's rules refuse: private modules at the checksum database. */
export class PolicyError extends Error {
  readonly code = 'POLICY'
  constructor(reason: string) {
    super(reason)
    this.name = 'PolicyError'
  }
}

/** A URL of a bucket that cannot be used. */
export class InvalidS3UrlError extends Error {
  readonly code = 'INVALID_S3_URL'
  constructor(reason: string) {
    super(reason)
    this.name = 'InvalidS3UrlError'
  }
}

/** No credentials for a bucket, neither in the environment nor in the files of AWS. */
export class NoS3CredentialsError extends Error {
  readonly code = 'NO_S3_CREDENTIALS'
  constructor(profile: string) {
    super(
      `no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give ~/.aws/credentials a profile ${profile}`,
    )
    this.name = 'NoS3CredentialsError'
  }
}
