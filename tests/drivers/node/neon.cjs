// How @neondatabase/serverless and what is built on it find the gateway: over HTTP, and by WebSocket.

const { neonConfig } = require('@neondatabase/serverless')

const endpoint = process.env.TENANTRY_HTTP
const apiKey = process.env.TENANTRY_API_KEY

// All that a user of the gateway writes. `config` is the driver's, or that of a copy that something brings along.
function pointAtGateway(config = neonConfig) {
  const url = new URL(endpoint)
  config.fetchEndpoint = () => endpoint
  config.wsProxy = () => `${url.host}${url.pathname.replace(/\/sql$/, '/v2')}`
  config.useSecureWebSocket = url.protocol === 'https:'
  // Node.js has one of its own from version 22 on.
  config.webSocketConstructor = require('ws')
  return config
}

function needEnvironment() {
  if (!endpoint || !apiKey) throw new Error('TENANTRY_HTTP and TENANTRY_API_KEY must be set')
}

module.exports = { apiKey, endpoint, needEnvironment, pointAtGateway }
