/**
 * HTTP both ways: the GOPROXY server that `go` talks to, its grammar, and the upstreams and checksum database
 * behind it. The server knows one `ModuleSource` and forwards nothing: a request is parsed into a value or refused.
 * Invariant: an answer with status 200 is complete and was verified by its source.
 * Follows golang.org/ref/mod#goproxy-protocol and golang.org/design/25530-sumdb.
 */
export { DirectReader } from './direct/direct-reader.ts'
export type { GoRunnerInit } from './direct/go-runner.ts'
export {
  InvalidCaFileError,
  InvalidEnvProxyError,
  InvalidGoauthError,
  InvalidProxyListError,
  InvalidRequestTargetError,
  InvalidS3UrlError,
  ListenError,
  NoS3CredentialsError,
  PolicyError,
} from './errors.ts'
export {
  formatListenAddress,
  isLocalOnly,
  type ListenAddress,
  parseListenAddress,
  urlOfAddress,
} from './listen-address.ts'
export { parseS3Url, type S3Location } from './remote-store/s3-location.ts'
export {
  type S3Change,
  type S3Health,
  S3RemoteStore,
  type S3StoreInit,
} from './remote-store/s3-store.ts'
export {
  formatRequestTarget,
  type ModuleFileRequest,
  type ProxyRequest,
  parseRequestTarget,
  type SumdbRequest,
} from './request-path.ts'
export type { ExtraPage, ExtraPages, HandlerComponents } from './server/handler.ts'
export { ProxyServer, type ProxyServerInit } from './server/proxy-server.ts'
export type { SumdbAnswers } from './server/sumdb-routes.ts'
export { Credentials, type CredentialsInit } from './upstream/credentials/credentials.ts'
export { parseGoauth } from './upstream/credentials/goauth.ts'
export {
  HttpFetcher,
  type HttpFetcherComponents,
  type HttpFetcherInit,
} from './upstream/http-fetcher.ts'
export { HttpSumdb, type HttpSumdbInit } from './upstream/http-sumdb.ts'
export {
  HttpUpstream,
  type HttpUpstreamComponents,
  type HttpUpstreamInit,
} from './upstream/http-upstream.ts'
export { type ProxyEntry, type ProxyList, parseProxyList } from './upstream/proxy-list.ts'
export {
  displayUpstreams,
  parseUpstreamRoutes,
  routeFor,
  type UpstreamRoute,
  type UpstreamRoutes,
} from './upstream/upstream-routes.ts'
export { HttpValidator, type HttpValidatorInit } from './validator/http-validator.ts'
export { ViaChain } from './via.ts'
