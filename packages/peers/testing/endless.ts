/** The protocol by which a member process sends bytes without end. */
export const endlessProtocol = '/modmesh-test/endless'
